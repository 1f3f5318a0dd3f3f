package import BackupCore

/// A backend in memory: each copy can lose, cut or flip files, be full, fail or hang behind, as
/// a seed says.
package actor MemoryBackend: RepositoryBackend {
    /// What goes wrong with one copy.
    package struct Faults: Sendable {
        /// The copy refuses the write that comes after so many more, and all after it.
        package var failAfterWrites: Int?
        /// With this error.
        package var error = BackendError(.io, "the drive failed")
        /// Bytes the copy takes before it is full.
        package var capacity: UInt64 = .max

        /// No faults.
        package init() {}
    }

    package nonisolated let copyCount: Int
    private let drives: [DriveID]
    private var files: [[FileName: [UInt8]]]
    private var faults: [Faults]
    private var failed: [BackendError?]

    /// An empty backend with as many copies as drives.
    package init(drives: [DriveID] = [DriveID(trusted: "a")]) {
        copyCount = drives.count
        self.drives = drives
        files = drives.map { _ in [:] }
        faults = drives.map { _ in Faults() }
        failed = drives.map { _ in nil }
    }

    package func list(_ kind: FileKind) async throws(BackendError) -> [StoredFile] {
        var union: [FileName: UInt64] = [:]
        for copy in files.reversed() {
            for (name, bytes) in copy where name.kind == kind { union[name] = UInt64(bytes.count) }
        }
        return union.map { StoredFile(name: $0.key, byteCount: $0.value) }
    }

    package func read(
        _ file: FileName, range: Range<UInt64>?, copy: Int
    ) async throws(BackendError) -> [UInt8] {
        guard files.indices.contains(copy), let bytes = files[copy][file] else {
            throw BackendError(.noSuchFile, "\(file.relativePath) is not there")
        }
        guard let range else { return bytes }
        guard range.upperBound <= UInt64(bytes.count) else {
            throw BackendError(.damaged, "\(file.relativePath) is cut short")
        }
        return Array(bytes[Int(range.lowerBound)..<Int(range.upperBound)])
    }

    package func write(_ file: FileName, _ bytes: [UInt8]) async throws(BackendError) {
        for copy in drives.indices where failed[copy] == nil {
            if let error = refusal(of: bytes, by: copy) {
                failed[copy] = BackendError(
                    error.code, error.detail, drive: drives[copy], nativeCode: error.nativeCode)
            } else {
                files[copy][file] = bytes
            }
        }
        try throwWhenNoneIsLeft()
    }

    package func flush() async throws(BackendError) { try throwWhenNoneIsLeft() }

    package func remove(_ file: FileName) async throws(BackendError) {
        for copy in drives.indices { files[copy][file] = nil }
    }

    package func receipts() async -> [CopyReceipt] {
        drives.indices.map { copy in
            CopyReceipt(
                drive: drives[copy], state: failed[copy].map { .behind($0) } ?? .durable)
        }
    }

    package func freeBytes() async -> UInt64 {
        drives.indices.filter { failed[$0] == nil }.map { copy in
            let used = files[copy].values.reduce(0) { $0 + UInt64($1.count) }
            return faults[copy].capacity - min(used, faults[copy].capacity)
        }.max() ?? 0
    }

    private func refusal(of bytes: [UInt8], by copy: Int) -> BackendError? {
        if let left = faults[copy].failAfterWrites {
            guard left > 0 else { return faults[copy].error }
            faults[copy].failAfterWrites = left - 1
        }
        let used = files[copy].values.reduce(0) { $0 + UInt64($1.count) }
        guard used + UInt64(bytes.count) <= faults[copy].capacity else {
            return BackendError(.full, "the drive is full")
        }
        return nil
    }

    private func throwWhenNoneIsLeft() throws(BackendError) {
        guard failed.allSatisfy({ $0 != nil }), let error = failed.first ?? nil else { return }
        throw error
    }
}

extension MemoryBackend {
    /// Sets one copy's faults from now on.
    package func setFaults(_ new: Faults, copy: Int = 0) { faults[copy] = new }

    /// A failed copy works again; it lacks what it missed.
    package func recover(copy: Int) {
        failed[copy] = nil
        faults[copy] = Faults()
    }

    /// One copy's files.
    package func contents(copy: Int = 0) -> [FileName: [UInt8]] { files[copy] }

    /// Replaces, adds or (with nil) loses one copy's file.
    package func set(_ file: FileName, _ bytes: [UInt8]?, copy: Int = 0) {
        files[copy][file] = bytes
    }

    /// Flips one bit, cuts or loses a file of one copy, as `numbers` choose; nil when it has none.
    package func damageOne(
        _ kind: FileKind, copy: Int = 0, using numbers: inout SeededNumbers
    ) -> FileName? {
        let names = files[copy].keys.filter { $0.kind == kind }.sorted()
        guard let name = names.randomElement(using: &numbers), var bytes = files[copy][name] else {
            return nil
        }
        switch Int.random(in: 0..<3, using: &numbers) {
        case 0:
            files[copy][name] = nil
        case 1:
            files[copy][name] = Array(bytes.prefix(bytes.count / 2))
        default:
            guard !bytes.isEmpty else { return name }
            let position = Int.random(in: bytes.indices, using: &numbers)
            bytes[position] ^= UInt8(1) << UInt8.random(in: 0..<8, using: &numbers)
            files[copy][name] = bytes
        }
        return name
    }
}
