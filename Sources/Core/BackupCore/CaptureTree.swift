/// Port: the tree of a capture that the phone drives, as the worker that speaks with the phone
/// sees it: blocking calls, on one thread.
///
/// On the other side of the socketpair stands a ``SnapshotBuilder``. A call without a result is
/// only put on its way, so that many small files cost no waiting; ``settle()`` tells how all of
/// them went. Paths are checked by the caller: names that may stand in a tree, none at the root.
package protocol CaptureTree: AnyObject {
    /// A folder's entries; `noEntry` or `notDirectory` when there is no folder at `path`.
    func list(_ path: EntryPath) throws(CaptureTreeError) -> [CaptureTreeEntry]
    /// The entry at `path`, nil when there is none.
    func stat(_ path: EntryPath) throws(CaptureTreeError) -> CaptureTreeEntry?
    /// Gives a file's content in order, in pieces of at most 1 MiB, until `use` returns false.
    /// `noEntry` when there is no file at `path`.
    func read(
        _ path: EntryPath, _ use: ([UInt8]) throws(CaptureTreeError) -> Bool
    ) throws(CaptureTreeError)
    /// Makes a folder with its ancestors; one that exists stays as it is.
    func makeDirectory(_ path: EntryPath) throws(CaptureTreeError)
    /// Begins a file, which replaces what was at `path` once it is ended.
    func beginFile(_ path: EntryPath) throws(CaptureTreeError)
    /// Puts content behind what the begun file has.
    func append(_ bytes: [UInt8]) throws(CaptureTreeError)
    /// Ends the begun file.
    func endFile() throws(CaptureTreeError)
    /// Gives the begun file up: what was at its path stays, and the run's report names it with
    /// `reason`, a sentence.
    func dropFile(_ reason: String) throws(CaptureTreeError)
    /// Copies a file or folder, replacing what was at `target`.
    func copy(_ path: EntryPath, to target: EntryPath) throws(CaptureTreeError)
    /// Moves a file or folder, replacing what was at `target`.
    func move(_ path: EntryPath, to target: EntryPath) throws(CaptureTreeError)
    /// Removes a file or folder with all beneath it; a missing one is no error.
    func remove(_ path: EntryPath) throws(CaptureTreeError)
    /// Waits until everything before is carried out, and throws the first refusal since the last
    /// time.
    func settle() throws(CaptureTreeError)
    /// The bytes that may still be stored.
    func freeBytes() throws(CaptureTreeError) -> UInt64
    /// Tells the run's watchers of something worth a line, at once.
    func notice(_ code: String, _ message: String) throws(CaptureTreeError)
    /// Tells how far the phone has come, at a moment that suits.
    func progress(_ progress: RunProgress) throws(CaptureTreeError)
    /// To be called at least once a second while waiting for the phone: tells the parent that this
    /// process lives, and throws `ended` when the run is to stop.
    func keepAlive() throws(CaptureTreeError)
}

/// One entry of a folder, as a phone that drives us may know it.
package struct CaptureTreeEntry: Hashable, Sendable {
    package let name: EntryName
    package let isFolder: Bool
    package let byteCount: UInt64
    package let modified: Timestamp

    /// An entry with every field given.
    package init(name: EntryName, isFolder: Bool, byteCount: UInt64, modified: Timestamp) {
        self.name = name
        self.isFolder = isFolder
        self.byteCount = byteCount
        self.modified = modified
    }
}

/// Why a call to a ``CaptureTree`` did not do what it should.
package enum CaptureTreeError: Error, Hashable {
    /// This call did not work; the capture goes on.
    case refused(Refusal, String)
    /// The capture is over: the run was stopped, or nothing can be stored any more.
    case ended(DeviceError)

    /// The kinds of refusal, as a phone may be told of them.
    package enum Refusal: UInt8, Sendable, CaseIterable {
        case noEntry = 1
        case notDirectory = 2
        /// What is stored cannot be read.
        case unreadable = 3
        case other = 4
    }

    /// The same as an error of the session.
    package var deviceError: DeviceError {
        switch self {
        case .refused(_, let text): DeviceError(.protocolViolation, text)
        case .ended(let error): error
        }
    }
}
