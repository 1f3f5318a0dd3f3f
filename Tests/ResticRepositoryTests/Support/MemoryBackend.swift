import BackupCore
import Synchronization

/// A backend in memory with any number of copies, each of which can be damaged or fail.
final class MemoryBackend: RepositoryBackend {
    struct State {
        var copies: [[FileName: [UInt8]]]
        /// Every write and removal in order, as a path, for tests of order.
        var log: [String] = []
        /// How many more writes succeed; nil for all.
        var writesLeft: Int?
        var flushFails = false
        /// Copies that answer with an I/O error.
        var failing: Set<Int> = []
        var reads = 0
    }

    let state: Mutex<State>

    init(copyCount: Int = 1) {
        state = Mutex(State(copies: Array(repeating: [:], count: copyCount)))
    }

    var copyCount: Int { state.withLock { $0.copies.count } }

    func list(_ kind: FileKind) async throws(BackendError) -> [StoredFile] {
        state.withLock { state in
            Set(
                state.copies.flatMap { copy in
                    copy.filter { $0.key.kind == kind }.map {
                        StoredFile(name: $0.key, byteCount: UInt64($0.value.count))
                    }
                })
        }.sorted { $0.name < $1.name }
    }

    func listOnEveryCopy(_ kind: FileKind) async throws(BackendError) -> [StoredFile] {
        try await list(kind).filter { file in
            state.withLock { state in state.copies.allSatisfy { $0[file.name] != nil } }
        }
    }

    func read(
        _ file: FileName, range: Range<UInt64>?, copy: Int
    ) async throws(BackendError) -> [UInt8] {
        let (bytes, isFailing) = state.withLock { state in
            state.reads += 1
            return (state.copies[copy][file], state.failing.contains(copy))
        }
        guard !isFailing else { throw BackendError(.io, "copy \(copy) cannot be read") }
        guard let bytes else {
            throw BackendError(.noSuchFile, "\(file.relativePath) is not there")
        }
        guard let range else { return bytes }
        let lower = min(bytes.count, Int(range.lowerBound))
        return Array(bytes[lower..<min(bytes.count, Int(range.upperBound))])
    }

    func write(_ file: FileName, _ bytes: [UInt8]) async throws(BackendError) {
        let succeeded = state.withLock { state in
            if let left = state.writesLeft {
                guard left > 0 else { return false }
                state.writesLeft = left - 1
            }
            for copy in state.copies.indices { state.copies[copy][file] = bytes }
            state.log.append("write \(file.kind.rawValue)")
            return true
        }
        guard succeeded else { throw BackendError(.full, "no space is left") }
    }

    func flush() async throws(BackendError) {
        let fails = state.withLock { state in
            state.log.append("flush")
            return state.flushFails
        }
        guard !fails else { throw BackendError(.io, "the flush failed") }
    }

    func remove(_ file: FileName) async throws(BackendError) {
        state.withLock { state in
            for copy in state.copies.indices { state.copies[copy][file] = nil }
            state.log.append("remove \(file.kind.rawValue)")
        }
    }

    func receipts() async -> [CopyReceipt] {
        (0..<copyCount).map { CopyReceipt(drive: DriveID(trusted: "copy-\($0)"), state: .durable) }
    }

    func freeBytes() async -> UInt64 { 1 << 40 }

    /// The files of `kind` that copy 0 holds, sorted.
    func names(_ kind: FileKind, copy: Int = 0) -> [FileName] {
        state.withLock { $0.copies[copy].keys.filter { $0.kind == kind }.sorted() }
    }

    /// Everything that was written so far except locks, as paths.
    var paths: Set<String> {
        state.withLock { Set($0.copies.flatMap { $0.keys.map(\.relativePath) }) }
    }

    /// How many indexes were written while a pack before them was not flushed, and how many in all.
    var indexesWritten: (tooEarly: Int, all: Int) {
        var (tooEarly, all, isFlushed) = (0, 0, true)
        for entry in state.withLock({ $0.log }) {
            switch entry {
            case "flush": isFlushed = true
            case "write data": isFlushed = false
            case "write index":
                all += 1
                if !isFlushed { tooEarly += 1 }
            default: break
            }
        }
        return (tooEarly, all)
    }

    /// Changes one file on one copy.
    func change(_ file: FileName, copy: Int, _ body: (inout [UInt8]?) -> Void) {
        state.withLock { state in body(&state.copies[copy][file]) }
    }
}
