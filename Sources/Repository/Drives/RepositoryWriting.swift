import BackupCore
import Glibc
import ResticFormat

/// Writing to a repository's folder; source: reliability notes, protocol W.
extension RepositoryFolder {
    /// Stores a file whole under its final name; its entry is durable after ``flush()``. After an
    /// error there is one fresh attempt in a new file, and nothing stays behind.
    func store(_ file: FileName, _ bytes: [UInt8]) throws(BackendError) {
        try store(file, byteCount: UInt64(bytes.count)) { (staged) throws(BackendError) in
            try staged.append(bytes)
        }
    }

    private func store(
        _ file: FileName, byteCount: UInt64,
        fill: (StagedFile) throws(BackendError) -> Void
    ) throws(BackendError) {
        // Repairing a lost config begins with a lock and ends with the config.
        let isRepair = file.kind == .lock || file == .config
        try prepare(file, byteCount: byteCount, needsConfig: !isRepair)
        do throws(BackendError) {
            do throws(BackendError) {
                try storeOnce(file, byteCount: byteCount, fill: fill)
            } catch let error where error.code == .io {
                try storeOnce(file, byteCount: byteCount, fill: fill)
            }
        } catch {
            throw diagnosed(error)
        }
    }

    /// What really happened: a drive that was taken out meanwhile answers with all kinds of
    /// errors.
    private func diagnosed(_ error: BackendError) -> BackendError {
        do throws(BackendError) {
            try drive.verifyPresent()
            return error
        } catch let other {
            return other.code == .absent ? other : error
        }
    }

    private func storeOnce(
        _ file: FileName, byteCount: UInt64,
        fill: (StagedFile) throws(BackendError) -> Void
    ) throws(BackendError) {
        let staged = try stage(file, byteCount: byteCount)
        do throws(BackendError) {
            try fill(staged)
            try staged.finish()
            try publish(staged, as: file, byteCount: byteCount)
        } catch {
            staged.discard()
            throw error
        }
    }

    /// Refuses what must not be written: to a drive that is gone, to no repository, or past the
    /// reserve.
    func prepare(
        _ file: FileName, byteCount: UInt64, needsConfig: Bool = true
    ) throws(BackendError) {
        try drive.verifyPresent()
        if file.kind != .lock { try requireLock() }
        do throws(BackendError) {
            let config = try system.status("config", in: try open())
            guard config != nil || !needsConfig else {
                throw system.error(.damaged, "the repository of \(owner) has no config")
            }
        } catch let error where error.nativeCode == ENOENT {
            throw system.error(.noSuchFile, "there is no repository of \(owner)")
        }
        guard file.kind == .data else { return }
        guard byteCount <= (try drive.currentSpace().usableBytes) else {
            throw system.error(.full, "it is full but for its reserve")
        }
    }

    /// A temporary file beside the final name.
    func stage(_ file: FileName, byteCount: UInt64) throws(BackendError) -> StagedFile {
        try StagedFile(
            name: Self.lastName(of: file), byteCount: byteCount, in: try openForWriting(file),
            system: system)
    }

    /// Gives a finished file its final name. When that is taken, the existing file stays if it is
    /// good; else it is moved to quarantine. What is `knownBad` is not looked at again: reading
    /// it may be what fails.
    func publish(
        _ staged: StagedFile, as file: FileName, byteCount: UInt64, knownBad: Bool = false
    ) throws(BackendError) {
        let name = PathBytes(Self.lastName(of: file))
        do throws(BackendError) {
            try staged.publish(as: name)
        } catch let error where error.nativeCode == EEXIST {
            let isGood = knownBad ? false : try isSame(file, as: staged)
            if isGood {
                staged.discard()
            } else {
                try moveAside(file)
                try staged.publish(as: name)
            }
        }
        noteFile(file, byteCount: byteCount)
    }

    /// Whether what has the final name already is what was staged: by hash, or for the config,
    /// which has no hash for a name, byte by byte.
    private func isSame(_ file: FileName, as staged: StagedFile) throws(BackendError) -> Bool {
        guard file.kind == .config else { return try isGood(file) }
        let existing = try system.readSmallFile("config", in: staged.folder)
        return try existing == system.readSmallFile(staged.temporaryName, in: staged.folder)
    }

    /// Moves what has the name of `file` to the drive's quarantine, durably. Nothing is deleted.
    func moveAside(_ file: FileName) throws(BackendError) {
        try requireLock()
        let folder = try open(Self.folder(of: file))
        let name = Self.lastName(of: file)
        try Quarantine(of: drive.root, system: system).take(
            PathBytes(name), from: folder, as: "\(owner)-\(file.kind.rawValue)-\(name)")
        noteChange(Self.folder(of: file))
    }

    /// Moves files to the drive's quarantine, each kind durably before the next; one that is not
    /// there is fine.
    func setAside(_ files: [FileName]) throws(BackendError) {
        try drive.verifyPresent()
        for kind in [FileKind.snapshot, .index, .data] {
            var folders: Set<[PathBytes]> = []
            for file in files where file.kind == kind {
                do throws(BackendError) {
                    try moveAside(file)
                    forget(file)
                    folders.insert(Self.folder(of: file))
                } catch let error where error.nativeCode == ENOENT {}
            }
            for folder in folders { try system.sync(try open(folder)) }
        }
        try drive.verifyPresent()
    }

    /// Makes all that was stored durable: the entries of every folder that changed; then every
    /// new file must be there with its size, and the drive still be where it was. After a failure
    /// every later flush fails too.
    func flush() throws(BackendError) {
        do throws(BackendError) {
            try flushOnce(takePending())
        } catch let cause {
            let error = diagnosed(cause)
            noteFailure(error)
            throw error
        }
    }

    private func flushOnce(_ pending: Pending) throws(BackendError) {
        if let failure = pending.failure { throw failure }
        guard !pending.folders.isEmpty else { return }
        for folder in pending.folders {
            try system.sync(try open(folder))
        }
        for (file, byteCount) in pending.files {
            guard try status(file)?.listedByteCount == byteCount else {
                throw system.error(.io, "\(file.relativePath) was lost after writing")
            }
        }
        try drive.verifyPresent()
    }

    /// Removes a lock. Other files are never removed by ordinary runs.
    func remove(_ file: FileName) throws(BackendError) {
        guard file.kind == .lock else {
            throw system.error(.readOnly, "only locks are ever removed")
        }
        do throws(BackendError) {
            let folder = try open(Self.folder(of: file))
            if try system.unlink(PathBytes(Self.lastName(of: file)), in: folder) {
                noteChange(Self.folder(of: file))
            }
        } catch let error where error.nativeCode == ENOENT {}
        forget(file)
    }
}
