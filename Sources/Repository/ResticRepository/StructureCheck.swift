package import BackupCore
package import ResticFormat

/// Checks one drive's repository as far as its own files tell: what `restic check` looks at, and
/// with `readData` also what `restic check --read-data` does.
///
/// Every index must be readable, every pack that an index names must be there with the right
/// size, every snapshot and every folder must parse, and every blob that a file needs must be
/// indexed. A folder is visited once, however many snapshots share it; memory follows the index.
package struct StructureCheck: Sendable {
    /// What has been read of what there is to read, in bytes of packs.
    package typealias Progress = @Sendable (_ done: UInt64, _ total: UInt64) -> Void

    let files: CopyReader
    let sealer: FileSealer
    private let readData: Bool
    private let only: Set<ContentID>?
    private let progress: Progress

    /// A check of `backend`, which must be a single drive: with several copies, damage on one
    /// would be hidden by another. `only` names the snapshots to look at; nil is all.
    package init(
        backend: any RepositoryBackend, masterKey: MasterKey, readData: Bool = false,
        only: Set<ContentID>? = nil, progress: @escaping Progress = { _, _ in }
    ) {
        files = CopyReader(backend)
        sealer = FileSealer(masterKey)
        self.readData = readData
        self.only = only
        self.progress = progress
    }

    /// Looks at everything. It throws only when the drive as a whole fails; damage is a finding.
    package func run() async throws(BackendError) -> StructureReport {
        var report = StructureReport()
        try await checkConfigAndKeys(&report)
        // Snapshots before indexes, so that a run that goes on meanwhile is not taken for damage.
        let snapshots = try await list(.snapshot).keys.sorted()
        let (index, packs) = try await checkIndexes(&report)
        report.blobCount = index.count
        var unreadable: Set<Int> = []
        if readData {
            var audit = PackAudit(files: files, sealer: sealer, index: index)
            try await audit.run(packs, &report, progress)
            unreadable = audit.unreadable
        }
        var audit = TreeAudit(
            files: files, sealer: sealer, index: index, unreadable: unreadable)
        for id in snapshots where !report.isInterrupted && only?.contains(id) ?? true {
            guard let root = try await rootOfSnapshot(id, &report) else { continue }
            report.snapshotCount += 1
            try await audit.visit(root, &report)
        }
        report.findings += audit.findings
        if report.unindexedPackCount > 0 {
            report.findings.append(
                .note("\(report.unindexedPackCount) packs are in no index; they harm nothing"))
        }
        return report
    }

    private func checkConfigAndKeys(_ report: inout StructureReport) async throws(BackendError) {
        _ = try await reading(.config, &report) { bytes throws(FormatError) in
            _ = try sealer.openConfig(bytes)
        }
        for id in try await list(.key).keys.sorted() {
            // Its hash is all that can be told of a key file without its password.
            _ = try await reading(FileName(.key, id), &report) { _ throws(FormatError) in }
        }
    }

    private func rootOfSnapshot(
        _ id: ContentID, _ report: inout StructureReport
    ) async throws(BackendError) -> ContentID? {
        try await reading(FileName(.snapshot, id), &report) { bytes throws(FormatError) in
            try SnapshotCodec.decode(sealer.openJSON(bytes, .snapshot)).tree
        }
    }

    /// Reads all indexes and compares them with the packs there are; gives the packs to be read.
    private func checkIndexes(
        _ report: inout StructureReport
    ) async throws(BackendError) -> (BlobIndex, [StoredFile]) {
        var index = BlobIndex()
        var seen: Set<ContentID> = []
        let names = try await list(.index).keys.sorted()
        let sizes = try await list(.data)
        let loader = IndexLoader(files: files, sealer: sealer, purpose: .reading)
        try await inOrder(names, width: 2) {
            await loader.listed(in: $0)
        } use: {
            id, listed throws(BackendError) in
            switch listed {
            case .success(let packs):
                for pack in packs {
                    if !seen.insert(pack.id).inserted {
                        report.findings.append(.note("pack \(pack.id.short) is in two indexes"))
                    }
                    check(pack, in: id, size: sizes[pack.id], &index, &report)
                }
            case .failure(let error):
                report.findings.append(try Self.finding(FileName(.index, id), error))
            }
        }
        report.packCount = sizes.count
        report.unindexedPackCount = sizes.keys.count { !index.names(pack: $0) }
        let present = sizes.sorted { $0.key < $1.key }.map { id, size in
            StoredFile(name: FileName(.data, id), byteCount: size)
        }
        return (index, present.filter { index.names(pack: $0.name.id) })
    }

    private func check(
        _ pack: IndexedPack, in indexID: ContentID, size: UInt64?, _ index: inout BlobIndex,
        _ report: inout StructureReport
    ) {
        let name = FileName(.data, pack.id)
        let isKnown = index.names(pack: pack.id)
        index.add(
            pack: pack.id, blobs: pack.blobs,
            isPresent: size == pack.byteCount && pack.isContiguous)
        guard !isKnown else { return }
        if !pack.isContiguous {
            let reason = "it puts blobs of pack \(pack.id.short) where they cannot lie"
            report.findings.append(.damaged(FileName(.index, indexID), reason: reason))
        }
        if Set(pack.blobs.map(\.key.kind)).count > 1 {
            report.findings.append(.note("pack \(pack.id.short) mixes files and folders"))
        }
        guard let size else { return report.findings.append(.missing(name)) }
        guard size == pack.byteCount else {
            return report.findings.append(
                .damaged(name, reason: "it has \(size) bytes instead of \(pack.byteCount)"))
        }
    }

    /// Reads a file whole; damage becomes a finding and nil.
    private func reading<Value>(
        _ name: FileName, _ report: inout StructureReport,
        decode: ([UInt8]) throws(FormatError) -> Value
    ) async throws(BackendError) -> Value? {
        do throws(RepositoryError) {
            return try await files.read(name, decode: decode)
        } catch {
            report.findings.append(try Self.finding(name, error))
            return nil
        }
    }

    /// What a failed read of `name` is: a finding, unless the drive as a whole is gone.
    static func finding(
        _ name: FileName, _ error: RepositoryError
    ) throws(BackendError) -> Finding {
        if let drive = error.backend, drive.code == .absent || drive.code == .wrongDrive {
            throw drive
        }
        return error.code == .missing ? .missing(name) : .damaged(name, reason: error.detail)
    }

    private func list(_ kind: FileKind) async throws(BackendError) -> [ContentID: UInt64] {
        var found: [ContentID: UInt64] = [:]
        for file in try await files.backend.list(kind) { found[file.name.id] = file.byteCount }
        return found
    }
}
