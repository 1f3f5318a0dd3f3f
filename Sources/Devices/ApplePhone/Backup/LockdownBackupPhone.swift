import BackupCore
import Glibc

/// A real phone, through its lockdown session.
struct LockdownBackupPhone: BackupPhone {
    private let session: LockdownSession
    private let began = ContinuousClock.now

    init(_ session: LockdownSession) { self.session = session }

    var udid: String { session.udid }

    func start(
        _ service: String, withEscrowBag: Bool
    ) throws(DeviceError) -> any ServiceConnection {
        try session.start(service, withEscrowBag: withEscrowBag)
    }

    func value(domain: String?, key: String?) throws(DeviceError) -> PropertyList? {
        try session.value(domain: domain, key: key)
    }

    func notices() throws(DeviceError) -> any PhoneNotices {
        NotificationProxy(try session.start(NotificationProxy.service))
    }

    func mediaFolder() throws(DeviceError) -> any MediaFolder {
        AFCMediaFolder(AFCClient(try session.start(AFCClient.service)))
    }

    func elapsed() -> Duration { ContinuousClock.now - began }

    func pause(_ duration: Duration) {
        let milliseconds = UInt32(clamping: Int(duration / .milliseconds(1)))
        usleep(milliseconds &* 1000)
    }
}

extension NotificationProxy: PhoneNotices {}

/// The media folder over a file service of its own.
final class AFCMediaFolder: MediaFolder {
    private let files: AFCClient
    private var handles: [UInt64: AFCClient.Handle] = [:]

    init(_ files: AFCClient) { self.files = files }

    func content(_ path: String, limit: Int) throws(DeviceError) -> [UInt8]? {
        let path = EntryPath(text: path)
        do throws(DeviceError) {
            let info = try files.info(path)
            guard info.kind == .file, info.byteCount <= UInt64(limit) else { return nil }
            let handle = try files.open(path, .read)
            var content: [UInt8] = []
            while content.count <= limit {
                let piece = try files.read(handle, 1 << 20)
                if piece.isEmpty { break }
                content += piece
            }
            try files.close(handle)
            return content.count <= limit ? content : nil
        } catch {
            // Not there, or kept from hosts: either way there is none for us.
            guard error.concernsOneEntry, !files.isBroken else { throw error }
            return nil
        }
    }

    func put(_ content: [UInt8], _ path: String) throws(DeviceError) {
        let path = EntryPath(text: path)
        try files.makeDirectory(path.parent)
        let handle = try files.open(path, .overwrite)
        try files.write(handle, content)
        try files.close(handle)
    }

    func remove(_ path: String) throws(DeviceError) {
        do throws(DeviceError) {
            try files.remove(EntryPath(text: path))
        } catch {
            guard error.nativeCode == AFCStatus.notFound.rawValue else { throw error }
        }
    }

    func open(toLock path: String) throws(DeviceError) -> UInt64 {
        let handle = try files.open(EntryPath(text: path), .readWrite)
        handles[handle.number] = handle
        return handle.number
    }

    func lock(_ handle: UInt64) throws(DeviceError) -> Bool {
        guard let handle = handles[handle] else { return false }
        do throws(DeviceError) {
            try files.lock(handle, .exclusive)
            return true
        } catch {
            guard error.nativeCode == AFCClient.wouldBlock else { throw error }
            return false
        }
    }

    func unlock(_ handle: UInt64) {
        guard let handle = handles.removeValue(forKey: handle), !files.isBroken else { return }
        // The lock ends with the connection at the latest.
        try? files.lock(handle, .release)
        try? files.close(handle)  // as above
    }

    func close() { files.close() }
}
