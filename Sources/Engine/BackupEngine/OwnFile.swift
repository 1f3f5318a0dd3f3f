internal import BackupCore

/// Our own file in a snapshot.
enum OwnFile {
    /// Puts the notes at the root, dated like the newest entry, so that it changes with them only.
    static func put(
        _ notes: SnapshotNotes, newest: Timestamp, into builder: TreeSnapshotBuilder
    ) async throws(Interruption) {
        do {
            _ = try await builder.put(
                source(of: notes.encoded()), at: SnapshotNotes.path, modified: newest)
        } catch {
            throw Interruption(error)
        }
    }

    private static func source(of bytes: [UInt8]) -> ByteSource<DeviceError> {
        let rest = RemainingBytes(bytes)
        return ByteSource(next: { () async throws(DeviceError) in rest.next() })
    }
}
