import BackupCore
import ResticFormat

/// Reads packs whole and proves everything in them: hash, header, index, code, frame, blob hash.
struct PackAudit {
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

    /// Reads `packs`; each is in memory once, beside the next one that is being read.
    mutating func run(
        _ packs: [StoredFile], _ report: inout StructureReport,
        _ progress: StructureCheck.Progress
    ) async throws(BackendError) {
        let total = packs.reduce(0) { $0 + $1.byteCount }
        for pack in packs {
            guard !Task.isCancelled else {
                report.isInterrupted = true
                return
            }
            try await audit(pack.name, &report)
            report.bytesRead += pack.byteCount
            progress(report.bytesRead, total)
        }
    }

    private mutating func audit(
        _ name: FileName, _ report: inout StructureReport
    ) async throws(BackendError) {
        let bytes: [UInt8]
        do throws(BackendError) {
            bytes = try await files.backend.read(name, range: nil, copy: 0)
        } catch {
            report.findings.append(try StructureCheck.finding(name, RepositoryError(error)))
            markUnreadable(index.entries(ofPack: name.id))
            return
        }
        if let damage = damage(of: name, bytes) {
            report.findings.append(.damaged(name, reason: damage))
        }
    }

    /// What is wrong with a pack's bytes, nil when nothing is.
    private mutating func damage(of name: FileName, _ bytes: [UInt8]) -> String? {
        var damage: String?
        if ContentID.sha256(of: bytes) != name.id { damage = "its bytes have another hash" }
        let entries = index.entries(ofPack: name.id)
        let indexed = entries.map { index.place(of: $0).blob }
        do throws(FormatError) {
            let blobs = try sealer.blobs(ofPack: bytes)
            if Set(blobs) != Set(indexed) {
                damage = damage ?? "its header names other blobs than the index"
            }
        } catch {
            damage = damage ?? "its header: \(error.detail)"
        }
        for (entry, blob) in zip(entries, indexed) {
            do throws(FormatError) {
                _ = try sealer.open(blob, in: bytes, at: Int(blob.offset))
            } catch {
                damage = damage ?? "blob \(blob.key.id.short): \(error.detail)"
                unreadable.insert(entry)
            }
        }
        return damage
    }

    private mutating func markUnreadable(_ entries: [Int]) { unreadable.formUnion(entries) }
}
