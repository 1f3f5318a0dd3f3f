package import BackupCore
import BlockingThread
package import ResticFormat
import Synchronization

/// What reading a repository's config and indexes gives.
struct OpenedParts {
    let config: RepositoryConfig
    let report: OpeningReport
    let files: CopyReader
    let sealer: FileSealer
    let ledger: BlobLedger
}

extension ResticSnapshotRepository {
    /// Opens a repository with its master key, reading every index from whichever copy is good.
    ///
    /// `unsupported` for another version of the format, `damaged` when no copy of the config can
    /// be read; damaged indexes and packs that are missing stand in ``openingReport``, because
    /// saving again is what repairs them. Opened for writing, it takes over packs that no index
    /// names. Drives that lack files of others should be caught up before: an index written here
    /// names packs for all of them.
    package static func open(
        backend: any RepositoryBackend, masterKey: MasterKey, options: RepositoryOptions
    ) async throws(RepositoryError) -> ResticSnapshotRepository {
        let files = CopyReader(backend)
        let sealer = FileSealer(masterKey)
        let config = try await files.read(.config) { bytes throws(FormatError) in
            try sealer.openConfig(bytes)
        }
        let loader = IndexLoader(files: files, sealer: sealer, purpose: options.purpose)
        var report = OpeningReport()
        let index = try await loader.load(&report)
        let ledger = BlobLedger(index)
        if options.purpose == .writing {
            for pack in try await loader.adoptPacks(missingFrom: index, &report) {
                ledger.blobs.withLock { $0.add(written: pack) }
            }
        }
        let parts = OpenedParts(
            config: config, report: report, files: files, sealer: sealer, ledger: ledger)
        return ResticSnapshotRepository(parts, backend: backend, key: masterKey, options: options)
    }

    /// The master key that `password` opens, tried with every key file of every copy but
    /// `retired` ones.
    ///
    /// `wrongPassword` when there are good key files and none opens; `damaged` or `missing` when
    /// there is no good one. A key that opens must also open the config, as restic has it.
    package static func unlock(
        backend: any RepositoryBackend, password: String, except retired: Set<ContentID> = []
    ) async throws(RepositoryError) -> MasterKey {
        let files = CopyReader(backend)
        let listed: [StoredFile]
        do throws(BackendError) { listed = try await backend.list(.key) } catch {
            throw RepositoryError(error)
        }
        // scrypt takes a second on a small board; that is too long for a shared thread.
        let thread = DedicatedThread(name: "unlock")
        var failure = RepositoryError(.missing, "the repository has no key file")
        var goodCount = 0
        for id in Set(listed.map(\.name.id)).subtracting(retired).sorted() {
            let opened: MasterKey?
            do throws(RepositoryError) {
                let bytes = try await files.read(FileName(.key, id)) { $0 }
                opened = try await thread.run { () throws(RepositoryError) in
                    try open(key: id, bytes, password: password)
                }
            } catch {
                guard error.code != .noDrive else { throw error }
                failure = error
                continue
            }
            goodCount += 1
            guard let key = opened else { continue }
            let sealer = FileSealer(key)
            _ = try await files.read(.config) { bytes throws(FormatError) in
                try sealer.openConfig(bytes)
            }
            return key
        }
        guard goodCount == 0 else {
            throw RepositoryError(
                .wrongPassword, "no key of the repository opens with this password")
        }
        throw failure
    }

    private static func open(
        key id: ContentID, _ bytes: [UInt8], password: String
    ) throws(RepositoryError) -> MasterKey? {
        do throws(FormatError) { return try KeyFile.open(bytes, password: password) } catch {
            throw RepositoryError(
                error.code == .unsupported ? .unsupported : .damaged,
                "key file \(id.short) cannot be used: \(error.detail)")
        }
    }
}
