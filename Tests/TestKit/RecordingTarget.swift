package import BackupCore

/// A restore target that remembers what it was given, and fails where it is told.
package actor RecordingTarget: RestoreTarget {
    /// A file as it was written.
    package struct File: Sendable, Equatable {
        package let bytes: [UInt8]
        package let modified: Timestamp
    }

    package private(set) var files: [String: File] = [:]
    package private(set) var directories: [String: Timestamp?] = [:]
    /// Every path asked for, raw.
    package private(set) var paths: [EntryPath] = []
    private let failing: [String: RestoreError]

    /// A target that fails with these errors at these paths.
    package init(failing: [String: RestoreError] = [:]) { self.failing = failing }

    package func makeDirectory(_ path: EntryPath) async throws(RestoreError) {
        paths.append(path)
        if let error = failing[path.description] { throw error }
        if directories[path.description] == nil { directories[path.description] = .some(nil) }
    }

    package func writeFile(
        _ path: EntryPath, byteCount: UInt64, modified: Timestamp, mode: UInt32?,
        from content: ByteSource<RepositoryError>
    ) async throws(RestoreError) {
        paths.append(path)
        if let error = failing[path.description] {
            await content.close()
            throw error
        }
        guard files[path.description] == nil else {
            await content.close()
            throw RestoreError(.exists, "It exists already", path: path)
        }
        do throws(RepositoryError) {
            var bytes: [UInt8] = []
            while let piece = try await content.next() { bytes += piece }
            files[path.description] = File(bytes: bytes, modified: modified)
        } catch {
            await content.close()
            throw RestoreError(.source, error.detail, path: path)
        }
        await content.close()
    }

    package func finishDirectory(
        _ path: EntryPath, modified: Timestamp, mode: UInt32?
    ) async throws(RestoreError) {
        paths.append(path)
        directories[path.description] = modified
    }
}
