import BackupCore

/// One thing that a phone which drives wants done with the tree.
///
/// An `operations` frame holds as many as fit into some hundred kilobytes, so that small files cost
/// neither a frame nor a change of threads each. Only ``wantsAnswer`` ones are answered, in order;
/// such a one ends its frame, because the worker waits then.
enum PushOperation: Equatable, Sendable {
    case makeDirectory(EntryPath)
    case beginFile(EntryPath)
    case piece([UInt8])
    case endFile
    case dropFile(reason: String)
    case copy(EntryPath, to: EntryPath)
    case move(EntryPath, to: EntryPath)
    case remove(EntryPath)
    case notice(code: String, message: String)
    case progress(RunProgress)
    case settle
    case freeBytes
    case list(EntryPath)
    case stat(EntryPath)
    case read(EntryPath)
    /// While a file is read: the next ``piecesInFlight`` may come.
    case more
    /// While a file is read: no more is wanted.
    case stopReading

    /// Pieces of a stored file that are sent before the worker has asked for more.
    static let piecesInFlight = 4
    /// Operations are gathered up to this size.
    static let gathered = 512 << 10

    /// Whether the worker waits after it.
    var wantsAnswer: Bool {
        switch self {
        case .settle, .freeBytes, .list, .stat, .read, .more, .stopReading: true
        default: false
        }
    }
}

extension WireWriter {
    mutating func operation(_ value: PushOperation) {
        switch value {
        case .makeDirectory(let path): operation(1, path)
        case .beginFile(let path): operation(2, path)
        case .piece(let bytes):
            unsigned8(3)
            content(bytes)
        case .endFile: unsigned8(4)
        case .dropFile(let reason):
            unsigned8(5)
            text(reason)
        case .copy(let path, let target): operation(6, path, target)
        case .move(let path, let target): operation(7, path, target)
        case .remove(let path): operation(8, path)
        case .notice(let code, let message):
            unsigned8(9)
            text(code)
            text(message)
        case .progress(let progress):
            unsigned8(10)
            self.progress(progress)
        case .settle: unsigned8(11)
        case .freeBytes: unsigned8(12)
        case .list(let path): operation(13, path)
        case .stat(let path): operation(14, path)
        case .read(let path): operation(15, path)
        case .more: unsigned8(16)
        case .stopReading: unsigned8(17)
        }
    }

    private mutating func operation(_ code: UInt8, _ paths: EntryPath...) {
        unsigned8(code)
        for path in paths { self.path(path) }
    }

    private mutating func path(_ path: EntryPath) {
        let names = path.names.prefix(WireLimit.depth)
        unsigned8(UInt8(names.count))
        for name in names { blob(name.bytes, limit: WireLimit.name) }
    }

    private mutating func progress(_ value: RunProgress) {
        text(value.phase.rawValue)
        unsigned32(UInt32(clamping: value.filesDone))
        optional(value.filesTotal) { writer, count in writer.unsigned32(UInt32(clamping: count)) }
        unsigned64(value.bytesDone)
        optional(value.bytesTotal) { writer, count in writer.unsigned64(count) }
    }
}

extension WireReader {
    /// All operations of a frame.
    mutating func operations() throws(DeviceError) -> [PushOperation] {
        var operations: [PushOperation] = []
        while !isAtEnd {
            let next = try operation()
            guard isAtEnd || !next.wantsAnswer else {
                throw .wireViolation("more after a question")
            }
            operations.append(next)
        }
        return operations
    }

    private mutating func operation() throws(DeviceError) -> PushOperation {
        switch try unsigned8() {
        case 1: .makeDirectory(try path())
        case 2: .beginFile(try path())
        case 3: .piece(try content(limit: WireLimit.piece))
        case 4: .endFile
        case 5: .dropFile(reason: HostileText.harmless(try text()))
        case 6: .copy(try path(), to: try path())
        case 7: .move(try path(), to: try path())
        case 8: .remove(try path())
        case 9:
            .notice(
                code: HostileText.harmless(try text()), message: HostileText.harmless(try text()))
        case 10: .progress(try progress())
        case 11: .settle
        case 12: .freeBytes
        case 13: .list(try path())
        case 14: .stat(try path())
        case 15: .read(try path())
        case 16: .more
        case 17: .stopReading
        default: throw .wireViolation("an operation of no known kind")
        }
    }

    private mutating func path() throws(DeviceError) -> EntryPath {
        let count = Int(try unsigned8())
        guard (1...WireLimit.depth).contains(count) else {
            throw .wireViolation("a path of \(count) names")
        }
        var names: [EntryName] = []
        for _ in 0..<count {
            let name = EntryName(bytes: try blob(limit: WireLimit.name))
            guard name.isTreeName else { throw .wireViolation("a name that cannot be in a tree") }
            names.append(name)
        }
        return EntryPath(names)
    }

    private mutating func progress() throws(DeviceError) -> RunProgress {
        guard let phase = RunProgress.Phase(rawValue: try text()) else {
            throw .wireViolation("progress of no known kind")
        }
        return RunProgress(
            phase: phase, filesDone: Int(try unsigned32()),
            filesTotal: try optional { reader throws(DeviceError) in
                Int(try reader.unsigned32())
            }, bytesDone: try unsigned64(),
            bytesTotal: try optional { reader throws(DeviceError) in try reader.unsigned64() })
    }
}

// MARK: - Answers

/// How an operation went, as the parent tells the worker.
enum PushAnswer: Equatable, Sendable {
    case done
    case number(UInt64)
    case entry(CaptureTreeEntry?)
    case refused(CaptureTreeError.Refusal, String)
}

extension WireWriter {
    mutating func answer(_ answer: PushAnswer) {
        switch answer {
        case .done: unsigned8(0)
        case .number(let value):
            unsigned8(1)
            unsigned64(value)
        case .entry(let entry):
            unsigned8(2)
            optional(entry) { writer, entry in writer.treeEntry(entry) }
        case .refused(let refusal, let text):
            unsigned8(3)
            unsigned8(refusal.rawValue)
            self.text(text)
        }
    }

    mutating func treeEntry(_ entry: CaptureTreeEntry) {
        blob(entry.name.bytes, limit: WireLimit.name)
        unsigned8(entry.isFolder ? 1 : 0)
        unsigned64(entry.byteCount)
        unsigned64(UInt64(bitPattern: entry.modified.seconds))
        unsigned32(entry.modified.nanoseconds)
    }
}

extension WireReader {
    mutating func answer() throws(DeviceError) -> PushAnswer {
        switch try unsigned8() {
        case 0: return .done
        case 1: return .number(try unsigned64())
        case 2:
            return .entry(
                try optional { reader throws(DeviceError) in try reader.treeEntry() })
        case 3:
            let refusal = CaptureTreeError.Refusal(rawValue: try unsigned8()) ?? .other
            return .refused(refusal, try text())
        default: throw .wireViolation("an answer of no known kind")
        }
    }

    mutating func treeEntry() throws(DeviceError) -> CaptureTreeEntry {
        CaptureTreeEntry(
            name: EntryName(bytes: try blob(limit: WireLimit.name)), isFolder: try boolean(),
            byteCount: try unsigned64(), modified: try date())
    }
}

// MARK: - The job

extension WireWriter {
    mutating func job(_ job: PushedJob) {
        func word(_ writer: inout WireWriter, _ text: String?) {
            writer.optional(text) { writer, text in writer.text(text) }
        }
        switch job {
        case .backup: unsigned8(1)
        case .restore(let restore):
            unsigned8(2)
            text(restore.source)
            word(&self, restore.password)
            unsigned8(restore.isMigration ? 1 : 0)
            unsigned64(restore.byteCount)
        case .changePassword(let old, let new):
            unsigned8(3)
            word(&self, old)
            word(&self, new)
        }
    }
}

extension WireReader {
    mutating func job() throws(DeviceError) -> PushedJob {
        func word(_ reader: inout WireReader) throws(DeviceError) -> String? {
            try reader.optional { reader throws(DeviceError) in try reader.text() }
        }
        switch try unsigned8() {
        case 1: return .backup
        case 2:
            return .restore(
                PhoneRestore(
                    source: try text(), password: try word(&self), isMigration: try boolean(),
                    byteCount: try unsigned64()))
        case 3: return .changePassword(from: try word(&self), to: try word(&self))
        default: throw .wireViolation("a job of no known kind")
        }
    }
}
