import BackupCore

/// A tree in memory, carrying each call out at once.
final class MemoryTree: CaptureTree {
    /// Files by path.
    var files: [EntryPath: [UInt8]] = [:]
    var folders: Set<EntryPath> = []
    var free: UInt64 = 1 << 40
    var notices: [String] = []
    var dropped: [EntryPath: String] = [:]
    var lastProgress: RunProgress?
    /// The sign of life at which the run is stopped.
    var endsAtPulse = Int.max
    private var pulses = 0
    /// Paths that cannot be read back.
    var unreadable: Set<EntryPath> = []
    private var open: (path: EntryPath, bytes: [UInt8])?
    private var refusal: CaptureTreeError?

    static let date = Timestamp(seconds: 1_700_000_000, nanoseconds: 500_000_000)

    /// A file by its path as text, beneath `/Backup`.
    subscript(path: String) -> [UInt8]? {
        get { files[EntryPath(text: "Backup/" + path)] }
        set {
            let path = EntryPath(text: "Backup/" + path)
            files[path] = newValue
            addFolders(above: path)
        }
    }

    /// All files beneath `/Backup`, by their path as text.
    var contents: [String: [UInt8]] {
        Dictionary(
            uniqueKeysWithValues: files.map { path, bytes in
                (path.names.dropFirst().map(\.description).joined(separator: "/"), bytes)
            })
    }

    private func addFolders(above path: EntryPath) {
        var folder = path.parent
        while folder != .root {
            folders.insert(folder)
            folder = folder.parent
        }
    }

    func list(_ path: EntryPath) throws(CaptureTreeError) -> [CaptureTreeEntry] {
        if files[path] != nil { throw .refused(.notDirectory, "a file") }
        guard folders.contains(path) else { throw .refused(.noEntry, "none") }
        let paths = Array(files.keys) + Array(folders)
        return paths.filter { $0.parent == path && $0 != path }.compactMap { entry($0) }
    }

    func stat(_ path: EntryPath) throws(CaptureTreeError) -> CaptureTreeEntry? { entry(path) }

    private func entry(_ path: EntryPath) -> CaptureTreeEntry? {
        guard let name = path.last else { return nil }
        if let bytes = files[path] {
            return CaptureTreeEntry(
                name: name, isFolder: false, byteCount: UInt64(bytes.count), modified: Self.date)
        }
        guard folders.contains(path) else { return nil }
        return CaptureTreeEntry(name: name, isFolder: true, byteCount: 0, modified: Self.date)
    }

    func read(
        _ path: EntryPath, _ use: ([UInt8]) throws(CaptureTreeError) -> Bool
    ) throws(CaptureTreeError) {
        guard let bytes = files[path] else { throw .refused(.noEntry, "none") }
        if unreadable.contains(path) { throw .refused(.unreadable, "damaged") }
        var rest = bytes[...]
        while !rest.isEmpty {
            guard try use(Array(rest.prefix(100_000))) else { return }
            rest = rest.dropFirst(100_000)
        }
    }

    func makeDirectory(_ path: EntryPath) throws(CaptureTreeError) {
        folders.insert(path)
        addFolders(above: path)
    }

    func beginFile(_ path: EntryPath) throws(CaptureTreeError) { open = (path, []) }
    func append(_ bytes: [UInt8]) throws(CaptureTreeError) { open?.bytes += bytes }

    func endFile() throws(CaptureTreeError) {
        guard let open = open.take() else { return }
        files[open.path] = open.bytes
        addFolders(above: open.path)
    }

    func dropFile(_ reason: String) throws(CaptureTreeError) {
        if let open = open.take() { dropped[open.path] = reason }
    }

    func copy(_ path: EntryPath, to target: EntryPath) throws(CaptureTreeError) {
        guard entry(path) != nil else { return refuse() }
        try remove(target)
        for (from, bytes) in files where from.isWithin(path) {
            files[EntryPath(target.names + from.names.dropFirst(path.names.count))] = bytes
        }
        for from in folders where from.isWithin(path) {
            folders.insert(EntryPath(target.names + from.names.dropFirst(path.names.count)))
        }
        addFolders(above: target)
    }

    func move(_ path: EntryPath, to target: EntryPath) throws(CaptureTreeError) {
        guard entry(path) != nil else { return refuse() }
        try copy(path, to: target)
        try remove(path)
    }

    func remove(_ path: EntryPath) throws(CaptureTreeError) {
        files = files.filter { !$0.key.isWithin(path) }
        folders = folders.filter { !$0.isWithin(path) }
    }

    private func refuse() { refusal = refusal ?? .refused(.noEntry, "none") }

    func settle() throws(CaptureTreeError) {
        if let refusal = refusal.take() { throw refusal }
    }

    func freeBytes() throws(CaptureTreeError) -> UInt64 { free }

    func notice(_ code: String, _ message: String) throws(CaptureTreeError) {
        notices.append(code)
    }

    func progress(_ progress: RunProgress) throws(CaptureTreeError) { lastProgress = progress }

    func keepAlive() throws(CaptureTreeError) {
        pulses += 1
        guard pulses < endsAtPulse else {
            throw .ended(DeviceError(.cancelled, "The run was stopped"))
        }
    }
}
