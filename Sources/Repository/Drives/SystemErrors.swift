import BackupCore
import Glibc

/// What an `errno` of a drive's system call means.
enum SystemErrors {
    /// The error's kind for the callers that decide on it.
    static func code(_ number: Int32) -> BackendError.Code {
        switch number {
        case ENOSPC, EDQUOT: .full
        case EROFS: .readOnly
        case ENODEV, ENXIO, ESTALE, ENOTCONN, ESHUTDOWN: .absent
        case ENOENT: .noSuchFile
        default: .io
        }
    }

    /// The error in words. `strerror` is avoided: its buffer belongs to all threads.
    static func words(_ number: Int32) -> String {
        switch number {
        case ENOSPC: "no space is left"
        case EDQUOT: "the quota is used up"
        case EROFS: "the filesystem is read-only"
        case EIO: "the drive answered with an I/O error"
        case ENOENT: "it does not exist"
        case EEXIST: "it exists already"
        case EACCES, EPERM: "it is not permitted"
        case EMFILE, ENFILE: "too many files are open"
        case ENOTDIR: "it is not a folder"
        case EISDIR: "it is a folder"
        case ELOOP: "it is a symbolic link"
        case ENAMETOOLONG: "the name is too long"
        case EILSEQ, EINVAL: "the filesystem does not take it"
        case ENODEV, ENXIO: "the drive is gone"
        case ESTALE, ENOTCONN, ESHUTDOWN: "the filesystem is no longer connected"
        case EBUSY: "it is in use"
        default: "error \(number)"
        }
    }
}
