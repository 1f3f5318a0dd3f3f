import BackupCore
import Glibc

/// Making a repository's folder. It is a repository once it has its config, which comes last.
extension RepositoryFolder {
    /// Makes the folders, keys and config durably. An interrupted initialisation is started
    /// over; an existing repository must have the same config.
    func initialise(
        config: [UInt8], keys: [(id: ContentID, bytes: [UInt8])]
    ) throws(BackendError) {
        try drive.verifyPresent()
        if try isRepository() {
            guard try read(.config, range: nil) == config else {
                throw system.error(.wrongDrive, "it holds another repository of \(owner)")
            }
        } else {
            try clearUnfinished()
        }
        try makeSkeleton()
        for key in keys { try storeUnchecked(FileName(.key, key.id), key.bytes) }
        try flush()
        try storeUnchecked(.config, config)
        try flush()
    }

    /// Stores before there is a config.
    func storeUnchecked(_ file: FileName, _ bytes: [UInt8]) throws(BackendError) {
        do throws(BackendError) {
            try storeUncheckedOnce(file, bytes)
        } catch let error where error.code == .io {
            try storeUncheckedOnce(file, bytes)
        }
    }

    private func storeUncheckedOnce(
        _ file: FileName, _ bytes: [UInt8]
    ) throws(BackendError) {
        let staged = try stage(file, byteCount: UInt64(bytes.count))
        do throws(BackendError) {
            try staged.append(bytes)
            try staged.finish()
            try publish(staged, as: file, byteCount: UInt64(bytes.count))
        } catch {
            staged.discard()
            throw error
        }
    }

    /// Makes every folder of a repository that is missing, and all of them durable.
    func makeSkeleton() throws(BackendError) {
        let repositories = try system.openFolder("repositories", in: drive.root)
        try system.makeFolder(PathBytes(owner.rawValue), in: repositories)
        let repository = try system.openFolder(PathBytes(owner.rawValue), in: repositories)
        var made: [Descriptor] = []
        for kind in FileKind.allCases where kind != .config {
            let name = PathBytes(kind.rawValue)
            try system.makeFolder(name, in: repository)
            let folder = try system.openFolder(name, in: repository)
            if kind == .data { try makeDataFolders(in: folder) }
            made.append(folder)
        }
        for folder in made + [repository, repositories] { try system.sync(folder) }
    }

    /// Makes all 256 folders before any is made durable: the filesystem then writes its journal
    /// once for all of them, which takes a hard disk seconds otherwise.
    private func makeDataFolders(in data: Descriptor) throws(BackendError) {
        var made: [PathBytes] = []
        for number in 0..<256 {
            let digits = String(number, radix: 16)
            let name = PathBytes(number < 16 ? "0" + digits : digits)
            if try system.makeFolder(name, in: data) { made.append(name) }
        }
        for name in made { try system.sync(try system.openFolder(name, in: data)) }
    }

    /// Moves the keys aside that an interrupted initialisation left: they open a master key that
    /// no repository has, and restic would try them.
    func clearUnfinished() throws(BackendError) {
        do throws(BackendError) {
            for file in try list(.key) { try moveAside(file.name) }
        } catch let error where error.nativeCode == ENOENT {
            // Not even a folder was made.
            return
        }
        try flush()
    }

    /// Removes temporary files of ours; returns how many. Only for who holds the owner's lock:
    /// then nobody else is writing, and all of them are left over.
    func sweepTemporaryFiles() throws(BackendError) -> Int {
        if leavesTemporaryFiles { return 0 }
        let repository: Descriptor
        do throws(BackendError) {
            repository = try open()
        } catch let error where error.nativeCode == ENOENT {
            return 0
        }
        var swept = try system.sweep(repository)
        for name in try system.names(in: repository) {
            guard try system.status(name, in: repository)?.kind == .directory else { continue }
            let folder = try system.openFolder(name, in: repository)
            swept += try system.sweep(folder)
            guard name == "data" else { continue }
            for part in try system.names(in: folder)
            where try system.status(part, in: folder)?.kind == .directory {
                swept += try system.sweep(try system.openFolder(part, in: folder))
            }
        }
        return swept
    }
}
