/// What a drive may hold after the power went: what POSIX and ext4 promise, and no more.
///
/// A file's bytes are there once its `fsync` came back; before, each page of 4 KiB may be old, new
/// or zero, and the size anything between. A name that was made, changed or removed holds once
/// the `fsync` of its folder came back; before, each change may have come about or not, whatever
/// became of the others. A rename is one change, of both folders. After a failed `fsync` what it
/// was asked for is lost for good, because the kernel may have marked the pages clean.
struct CrashModel {
    fileprivate struct File {
        var bytes: [UInt8] = []
        var durable: [UInt8] = []
        var written = 0
        var isLost = false
    }

    fileprivate struct Entry {
        let object: Int
        var removed: (folder: Int, name: String)?
        var added: (folder: Int, name: String)?
        var isLost = false

        func concerns(_ folder: Int) -> Bool {
            removed?.folder == folder || added?.folder == folder
        }
    }

    private static let page = 4096
    private var files: [Int: File] = [:]
    /// The entries on the medium, by folder.
    private var durable: [Int: [String: Int]] = [0: [:]]
    private var pending: [Entry] = []

    /// The state after `changes` came back.
    init(_ changes: some Sequence<Recording.Change>) {
        for change in changes { apply(change) }
    }

    private mutating func apply(_ change: Recording.Change) {
        switch change {
        case .newFile(let file, let name, let folder):
            files[file] = File()
            pending.append(Entry(object: file, added: (folder, name)))
        case .newFolder(let number, let name, let folder):
            durable[number] = [:]
            pending.append(Entry(object: number, added: (folder, name)))
        case .allocate(let file, let byteCount):
            files[file, default: File()].grow(byteCount)
        case .write(let file, let bytes): files[file, default: File()].append(bytes)
        case .sync(let object, let succeeded): sync(object, succeeded)
        case .syncAll: syncAll()
        case .rename(let object, let name, let folder, let newName, let newFolder):
            pending.append(
                Entry(object: object, removed: (folder, name), added: (newFolder, newName)))
        case .unlink(let object, let name, let folder):
            pending.append(Entry(object: object, removed: (folder, name)))
        case .rot(let file, let bytes):
            files[file, default: File()].bytes = bytes
            files[file, default: File()].durable = bytes
        }
    }

    private mutating func sync(_ object: Int, _ succeeded: Bool) {
        if files[object] != nil {
            files[object]?.sync(succeeded)
            return
        }
        for index in pending.indices where pending[index].concerns(object) {
            if succeeded { put(pending[index]) } else { pending[index].isLost = true }
        }
        if succeeded { pending.removeAll { $0.concerns(object) && !$0.isLost } }
    }

    private mutating func syncAll() {
        for file in files.keys { files[file]?.sync(true) }
        for entry in pending { put(entry) }
        pending.removeAll { !$0.isLost }
    }

    /// Brings an entry to the medium.
    private mutating func put(_ entry: Entry) {
        guard !entry.isLost else { return }
        if let (folder, name) = entry.removed, durable[folder]?[name] == entry.object {
            durable[folder]?[name] = nil
        }
        if let (folder, name) = entry.added { durable[folder, default: [:]][name] = entry.object }
    }

    // MARK: A state

    /// How what was not durable is treated.
    enum Fate: String, CaseIterable {
        /// All of it came about.
        case kept
        /// Each by itself came about, did not, or did in part.
        case mixed
        /// None of it came about.
        case dropped
    }

    /// Writes one state that may be found after a cut now to a new folder.
    func write(to path: String, _ fate: Fate, _ numbers: inout TrialNumbers) {
        var state = self
        for entry in pending {
            let keeps =
                switch fate {
                case .kept: true
                case .mixed: numbers.next() % 2 == 0
                case .dropped: false
                }
            if keeps { state.put(entry) }
        }
        TrialFiles.makeFolder(path)
        state.writeFolder(0, path, fate, &numbers)
    }

    private func writeFolder(
        _ folder: Int, _ path: String, _ fate: Fate, _ numbers: inout TrialNumbers
    ) {
        for (name, object) in (durable[folder] ?? [:]).sorted(by: { $0.key < $1.key }) {
            let path = "\(path)/\(name)"
            if let file = files[object] {
                TrialFiles.write(path, file.content(fate, &numbers))
            } else {
                TrialFiles.makeFolder(path)
                writeFolder(object, path, fate, &numbers)
            }
        }
    }
}

extension CrashModel.File {
    mutating func grow(_ count: Int) {
        if count > bytes.count {
            bytes += [UInt8](repeating: 0, count: count - bytes.count)
        }
    }

    mutating func append(_ new: ArraySlice<UInt8>) {
        grow(written + new.count)
        bytes.replaceSubrange(written..<written + new.count, with: new)
        written += new.count
    }

    mutating func sync(_ succeeded: Bool) {
        if !succeeded { isLost = true }
        if !isLost { durable = bytes }
    }

    /// What is found of it.
    func content(
        _ fate: CrashModel.Fate, _ numbers: inout TrialNumbers
    ) -> [UInt8] {
        guard durable != bytes else { return bytes }
        switch isLost && fate == .kept ? .dropped : fate {
        case .kept: return bytes
        case .dropped: return durable
        case .mixed: return torn(&numbers)
        }
    }

    private func torn(_ numbers: inout TrialNumbers) -> [UInt8] {
        let page = 4096
        let pages = (bytes.count + page - 1) / page
        let size: Int
        switch numbers.next() % 3 {
        case 0: size = bytes.count
        case 1: size = durable.count
        default: size = min(bytes.count, Int(numbers.next() % UInt64(pages + 1)) * page)
        }
        var result = Array(bytes.prefix(size))
        for start in stride(from: 0, to: size, by: page) where numbers.next() % 2 == 0 {
            for index in start..<min(size, start + page) {
                result[index] = index < durable.count ? durable[index] : 0
            }
        }
        return result
    }
}
