/// Port: where a restore writes: a folder, later a phone.
///
/// Every path comes from a snapshot and is hostile. A target never writes outside itself, never
/// follows a link, and never replaces what exists unless it was told to.
package protocol RestoreTarget: Sendable {
    /// Makes a folder; an existing one is fine.
    func makeDirectory(_ path: EntryPath) async throws(RestoreError)
    /// Writes a file whole, with its date, or leaves nothing under its name. The content is
    /// closed here. A failing source is `source`.
    func writeFile(
        _ path: EntryPath, byteCount: UInt64, modified: Timestamp, mode: UInt32?,
        from content: ByteSource<RepositoryError>
    ) async throws(RestoreError)
    /// Sets a folder's date, after everything beneath it is written.
    func finishDirectory(
        _ path: EntryPath, modified: Timestamp, mode: UInt32?
    ) async throws(RestoreError)
}

/// Why one entry, or the whole restore, could not be written.
package struct RestoreError: Error, Explained, Hashable {
    /// The kinds callers decide on.
    package enum Code: String, Sendable, CaseIterable {
        /// The name cannot be made here; only this entry is lost.
        case impossibleName
        /// Something exists there already and overwriting was not asked for.
        case exists
        /// The content could not be read from any drive.
        case source
        /// The target is full: the restore ends.
        case full
        /// The target failed for this entry.
        case failed
        /// The target as a whole cannot be used: the restore ends.
        case unusable
    }

    package let code: Code
    package let path: EntryPath?
    /// What failed, for people, without a final stop.
    package let detail: String
    package let nativeCode: Int32?

    /// An error about `path`.
    package init(
        _ code: Code, _ detail: String, path: EntryPath? = nil, nativeCode: Int32? = nil
    ) {
        self.code = code
        self.detail = detail
        self.path = path
        self.nativeCode = nativeCode
    }

    /// Whether the restore as a whole cannot go on.
    package var endsTheRestore: Bool { code == .full || code == .unusable }

    package var whatHappened: String { "\(detail)\(path.map { " (\($0))" } ?? "")." }
    package var consequence: Consequence {
        code == .unusable ? .nothingChanged : .incomplete(skipped: 1)
    }
    package var whatToDo: String {
        switch code {
        case .impossibleName: "Restore it to a filesystem that allows the name, or use restic dump."
        case .exists: "Restore to an empty folder, or add --overwrite."
        case .source: "Run holdfast check --read-data, then holdfast heal."
        case .full: "Free some space or choose another folder, then restore again."
        case .failed, .unusable: "Check that the folder can be written to, then restore again."
        }
    }
}
