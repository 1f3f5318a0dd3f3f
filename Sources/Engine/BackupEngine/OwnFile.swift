internal import BackupCore

/// Our own file in a snapshot.
enum OwnFile {
    /// Puts the notes at the root, dated like the newest entry, so that it changes with them only.
    static func put(
        _ notes: SnapshotNotes, newest: Timestamp, into builder: TreeSnapshotBuilder
    ) async throws(Interruption) {
        do {
            try await put(notes.encoded(), newest: newest, into: builder)
        } catch {
            throw Interruption(error)
        }
    }

    /// The same with the notes' bytes.
    static func put(
        _ notes: [UInt8], newest: Timestamp, into builder: TreeSnapshotBuilder
    ) async throws(SaveError) {
        _ = try await builder.put(source(of: notes), at: SnapshotNotes.path, modified: newest)
    }

    private static func source(of bytes: [UInt8]) -> ByteSource<DeviceError> {
        let rest = RemainingBytes(bytes)
        return ByteSource(next: { () async throws(DeviceError) in rest.next() })
    }
}
