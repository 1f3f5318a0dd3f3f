package import BackupCore

/// A backend as it will be once some of its files are gone: how it is looked at before they go,
/// and used while they cannot go yet.
package struct RemainingFiles: RepositoryBackend {
    private let base: any RepositoryBackend
    private let gone: Set<FileName>

    /// `base` without the files `gone`.
    package init(_ base: any RepositoryBackend, without gone: Set<FileName>) {
        self.base = base
        self.gone = gone
    }

    package var copyCount: Int { base.copyCount }

    package func list(_ kind: FileKind) async throws(BackendError) -> [StoredFile] {
        try await base.list(kind).filter { !gone.contains($0.name) }
    }

    package func listOnEveryCopy(_ kind: FileKind) async throws(BackendError) -> [StoredFile] {
        try await base.listOnEveryCopy(kind).filter { !gone.contains($0.name) }
    }

    package func read(
        _ file: FileName, range: Range<UInt64>?, copy: Int
    ) async throws(BackendError) -> [UInt8] {
        guard !gone.contains(file) else {
            throw BackendError(.noSuchFile, "\(file.relativePath) was removed on purpose")
        }
        return try await base.read(file, range: range, copy: copy)
    }

    package func write(_ file: FileName, _ bytes: [UInt8]) async throws(BackendError) {
        try await base.write(file, bytes)
    }

    package func flush() async throws(BackendError) { try await base.flush() }
    package func remove(_ file: FileName) async throws(BackendError) {
        try await base.remove(file)
    }
    package func receipts() async -> [CopyReceipt] { await base.receipts() }
    package func freeBytes() async -> UInt64 { await base.freeBytes() }
}
