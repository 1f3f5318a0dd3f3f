package import BackupCore

/// What a reading of one file from the medium tells.
package enum ReadBack: Hashable, Sendable {
    /// Its bytes are what its name promises.
    case good
    case bad(CopyFinding.Problem)
    /// It is not there (any more).
    case gone
    /// The drive as a whole does not answer.
    case failed(BackendError)
}

extension DriveBackend {
    /// Reads `files` from the medium, not from what is cached, one after the other, and hashes
    /// them; while one is hashed the next is fetched. `mayRead` is asked before each file and may
    /// wait; false ends it. `found` is told of each with its size. A drive that fails as a whole
    /// ends it too. Memory does not follow the files' sizes.
    package func readBack(
        _ files: [FileName], validConfig: ConfigJudge,
        mayRead: () async -> Bool,
        found: (_ file: FileName, _ result: ReadBack, _ byteCount: UInt64) async -> Void
    ) async {
        for (position, file) in files.enumerated() {
            guard await mayRead() else { return }
            let opened = await open(file, isFetched: position > 0)
            if position + 1 < files.count { await fetch(files[position + 1]) }
            let (result, byteCount) = await finish(file, opened, validConfig)
            await found(file, result, byteCount)
            if case .failed = result { return }
        }
    }

    /// Reads one file from the medium and hashes it.
    package func readBack(_ file: FileName, validConfig: ConfigJudge) async -> ReadBack {
        await finish(file, await open(file, isFetched: false), validConfig).0
    }

    /// Has the kernel read a file from the medium ahead of its turn.
    private func fetch(_ file: FileName) async {
        // What cannot be opened is told when its turn comes.
        try? await reading { (folder) throws(BackendError) in try folder.fetch(file) }
    }

    private func open(
        _ file: FileName, isFetched: Bool
    ) async -> Result<FileReading, BackendError> {
        do throws(BackendError) {
            return .success(
                try await reading { (folder) throws(BackendError) in
                    try FileReading(file, in: folder, isFetched: isFetched)
                })
        } catch {
            return .failure(error)
        }
    }

    private func finish(
        _ file: FileName, _ opened: Result<FileReading, BackendError>, _ judge: ConfigJudge
    ) async -> (ReadBack, UInt64) {
        do throws(BackendError) {
            let file = try opened.get()
            let isGood =
                file.name == .config ? judge(try await bytes(file)) : try await hash(file)
            return (isGood ? .good : .bad(.wrongHash), file.byteCount)
        } catch {
            switch error.code {
            case .noSuchFile: return (.gone, 0)
            case .damaged: return (.bad(.wrongHash), 0)
            case .absent, .wrongDrive: return (.failed(error), 0)
            default: return (.bad(.unreadable), 0)
            }
        }
    }

    /// In steps, so that a large file does not keep the drive's thread from other reads.
    private func hash(_ file: FileReading) async throws(BackendError) -> Bool {
        while try await reading({ (_) throws(BackendError) in try file.hash(upTo: 32 << 20) }) {}
        return file.finish() == file.name.id
    }

    private func bytes(_ file: FileReading) async throws(BackendError) -> [UInt8] {
        var bytes: [UInt8] = []
        while bytes.count <= 1 << 16,
            let piece = try await reading({ (_) throws(BackendError) in try file.next(1 << 16) })
        {
            bytes += piece
        }
        return bytes
    }
}
