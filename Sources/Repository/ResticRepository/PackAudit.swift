import BackupCore
import ResticFormat

/// Reads packs whole and proves everything in them: hash, header, index, code, frame, blob hash.
struct PackAudit {
    /// Packs that are read or proved at the same time: one on its way from the drive, one for each
    /// of two processor cores.
    private static let width = 3
    /// Larger packs (a folder of a million files makes one) are in memory alone.
    private static let largestTogether: UInt64 = 32 << 20

    /// What was found of one pack.
    private enum Verdict: Sendable {
        case good
        /// Damaged, and which entries of the index cannot be read.
        case damaged(String, unreadable: [Int])
        case unread(BackendError)
        case cancelled
    }

    private let files: CopyReader
    private let sealer: FileSealer
    private let index: BlobIndex
    /// Entries of the index whose blob cannot be read.
    private(set) var unreadable: Set<Int> = []

    init(files: CopyReader, sealer: FileSealer, index: BlobIndex) {
        self.files = files
        self.sealer = sealer
        self.index = index
    }

    /// Reads `packs`, three of usual size at a time.
    mutating func run(
        _ packs: [StoredFile], _ report: inout StructureReport,
        _ progress: StructureCheck.Progress
    ) async throws(BackendError) {
        let total = packs.reduce(0) { $0 + $1.byteCount }
        let usual = packs.filter { $0.byteCount <= Self.largestTogether }
        let large = packs.filter { $0.byteCount > Self.largestTogether }
        for (packs, width) in [(usual, Self.width), (large, 1)] {
            // A copy for the reading tasks; the storage is shared.
            let audit = self
            try await inOrder(packs, width: width) {
                await audit.verdict(on: $0.name)
            } use: {
                pack, verdict throws(BackendError) in
                try note(verdict, of: pack.name, &report)
                guard !report.isInterrupted else { return }
                report.bytesRead += pack.byteCount
                progress(report.bytesRead, total)
            }
        }
    }

    private mutating func note(
        _ verdict: Verdict, of name: FileName, _ report: inout StructureReport
    ) throws(BackendError) {
        switch verdict {
        case .good: break
        case .damaged(let reason, let entries):
            report.findings.append(.damaged(name, reason: reason))
            unreadable.formUnion(entries)
        case .unread(let error):
            report.findings.append(try StructureCheck.finding(name, RepositoryError(error)))
            unreadable.formUnion(index.entries(ofPack: name.id))
        case .cancelled: report.isInterrupted = true
        }
    }

    private func verdict(on name: FileName) async -> Verdict {
        guard !Task.isCancelled else { return .cancelled }
        do throws(BackendError) {
            return verdict(on: name, try await files.backend.read(name, range: nil, copy: 0))
        } catch {
            return .unread(error)
        }
    }

    private func verdict(on name: FileName, _ bytes: [UInt8]) -> Verdict {
        var damage: String?
        if ContentID.sha256(of: bytes) != name.id { damage = "its bytes have another hash" }
        let entries = index.entries(ofPack: name.id)
        let indexed = entries.map { index.place(of: $0).blob }
        do throws(FormatError) {
            let blobs = try sealer.blobs(ofPack: bytes)
            if blobs != indexed, Set(blobs) != Set(indexed) {
                damage = damage ?? "its header names other blobs than the index"
            }
        } catch {
            damage = damage ?? "its header: \(error.detail)"
        }
        var unreadable: [Int] = []
        for (entry, blob) in zip(entries, indexed) {
            do throws(FormatError) {
                try sealer.prove(blob, ofPack: bytes)
            } catch {
                damage = damage ?? "blob \(blob.key.id.short): \(error.detail)"
                unreadable.append(entry)
            }
        }
        return damage.map { .damaged($0, unreadable: unreadable) } ?? .good
    }
}
