/// Port: a tree in the making, over the tree of a parent snapshot or over nothing.
///
/// The engine drives it for media (starting empty, keeping what is unchanged); a phone drives it
/// for mobilebackup2 (starting from the parent). Paths are data in tree nodes, never paths on the
/// box. Its memory follows what changed; the rest is read from the parent.
package protocol SnapshotBuilder: Sendable {
    /// A folder's entries.
    func list(_ path: EntryPath) async throws(RepositoryError) -> [TreeNode]
    /// The entry at `path`, nil when there is none.
    func stat(_ path: EntryPath) async throws(RepositoryError) -> TreeNode?
    /// A file's content; `notFound` when there is no file at `path`.
    func read(_ path: EntryPath) async throws(RepositoryError) -> ByteSource<RepositoryError>
    /// Makes a folder and its ancestors; an existing folder only gets the date.
    func makeDirectory(_ path: EntryPath, modified: Timestamp?) async throws(RepositoryError)
    /// Puts `node` at `path` as it is, its content being in the repository already.
    func keep(_ node: TreeNode, at path: EntryPath) async throws(RepositoryError)
    /// Stores a file's content at `path`, replacing what was there.
    func put(
        _ source: ByteSource<DeviceError>, at path: EntryPath, modified: Timestamp
    ) async throws(SaveError) -> SavedContent
    /// Copies a file or folder; what was at `target` is replaced.
    func copy(_ path: EntryPath, to target: EntryPath) async throws(RepositoryError)
    /// Moves a file or folder; what was at `target` is replaced.
    func move(_ path: EntryPath, to target: EntryPath) async throws(RepositoryError)
    /// Removes a file or folder with all beneath it; a missing one is no error.
    func remove(_ path: EntryPath) async throws(RepositoryError)
    /// The space that may still be used, in bytes.
    func freeBytes() async -> UInt64
    /// Stores all folders that changed and returns the root's tree.
    func finish() async throws(RepositoryError) -> ContentID
}
