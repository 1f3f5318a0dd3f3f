import BackupCore
import BackupEngine
import ControlAPI
import Logging
import ResticFormat
import Synchronization

/// The list of what a run of one phone has read and no snapshot holds yet, in the owner's part of
/// the state folder: `owners/<owner>/read/<phone>.<capture>`.
///
/// Names stand in it, so each record is sealed with the owner's key, which also tells a garbled one.
/// The first record tells the run; each further one is a folder's path, a NUL, and the files as
/// restic writes a folder's tree. To be used under the owner's lock of the box.
final class ReadListFile: ReadList {
    private struct State {
        var files: [Capture: RecordFile] = [:]
        /// A list that failed is given up: its end may be half a record.
        var hasFailed = false
    }

    private let store: StateStore
    private let owner: OwnerID
    private let phone: PhoneID
    private let run: RunID
    private let key: MasterKey
    private let log: Logger
    private let events: RunEventSink
    private let state = Mutex(State())

    /// The lists of a phone's captures; `run` is the one that may add to them.
    init(
        _ store: StateStore, owner: OwnerID, phone: PhoneID, run: RunID, key: MasterKey,
        log: Logger, events: @escaping RunEventSink
    ) {
        self.store = store
        self.owner = owner
        self.phone = phone
        self.run = run
        self.key = key
        self.log = log
        self.events = events
    }

    private func path(_ capture: Capture) -> String {
        "\(store.folder(of: owner))/read/\(phone).\(capture.rawValue)"
    }

    // MARK: Writing

    func add(_ files: [ReadFiles], notes: [UInt8], of capture: Capture) async {
        let failure: ApplianceError? = state.withLock { state in
            guard !state.hasFailed else { return nil }
            do throws(ApplianceError) {
                if state.files[capture] == nil {
                    state.files[capture] = try begin(capture, notes)
                }
                try state.files[capture]?.append(sealed(files.compactMap(Self.record)))
                return nil
            } catch {
                state.hasFailed = true
                return error
            }
        }
        guard let failure else { return }
        log.warning("read list not written", metadata: ["owner": "\(owner)"])
        events(
            .notice(
                RunNotice(
                    code: "read_list_not_written",
                    message: "\(failure.whatHappened) The backup goes on; should it be killed, the "
                        + "next one reads more of the phone again.")))
    }

    private func begin(_ capture: Capture, _ notes: [UInt8]) throws(ApplianceError) -> RecordFile {
        let file = try RecordFile.make(path(capture))
        let header: JSONValue = .members([
            "format": .integer(1), "run": .string(run.rawValue), "phone": .string(phone.rawValue),
            "capture": .string(capture.rawValue),
        ])
        try file.append(sealed([Array(header.line.utf8) + [0] + notes]))
        return file
    }

    /// A folder's path, a NUL, its files as a tree; nil for what no tree can hold.
    private static func record(_ files: ReadFiles) -> [UInt8]? {
        // What a tree cannot hold is in no snapshot either, and need not be listed.
        guard let tree = try? TreeCodec.encode(files.nodes) else { return nil }
        return files.folder.joined + [0] + tree
    }

    private func sealed(_ records: [[UInt8]]) -> [[UInt8]] {
        let sealer = Sealer(key)
        let codec = ZstdCodec()
        return records.map { UnpackedFile.seal($0, sealer: sealer, codec: codec).bytes }
            .filter { $0.count <= RecordFile.maximumByteCount }
    }

    // MARK: Reading

    func left(of capture: Capture) async -> LeftReadList? {
        // A list that cannot be read is none: its files are read from the phone again.
        guard let file = try? RecordFile.open(path(capture)) else { return nil }
        guard let (header, notes) = opened(file.next()), let json = try? JSONValue.read(header),
            json["format"]?.int64 == 1, json["phone"]?.text == phone.rawValue,
            json["capture"]?.text == capture.rawValue,
            let run = json["run"]?.text.flatMap(RunID.init(rawValue:))
        else {
            log.warning("read list garbled", metadata: ["owner": "\(owner)"])
            await forget(capture)
            return nil
        }
        return LeftReadList(run: run, notes: notes) { [self] in
            // A garbled record is the end of the list, be it sealed or not.
            guard let (path, tree) = opened(file.next()), let nodes = try? TreeCodec.decode(tree)
            else { return nil }
            let names = path.split(separator: 0x2F).map { EntryName(bytes: $0) }
            return ReadFiles(folder: EntryPath(names), nodes: nodes)
        }
    }

    /// The two parts of a record; nil at the end of the list and from a garbled record on.
    private func opened(_ record: [UInt8]?) -> (head: [UInt8], body: [UInt8])? {
        guard let record,
            // As above: a garbled record ends the list.
            let plain = try? UnpackedFile.open(record, sealer: Sealer(key), codec: ZstdCodec()),
            let end = plain.firstIndex(of: 0)
        else { return nil }
        return (Array(plain[..<end]), Array(plain[(end + 1)...]))
    }

    func forget(_ capture: Capture) async {
        state.withLock { $0.files[capture] = nil }
        // One that stays is found by the next run, which sees that its files are in a snapshot.
        try? StateFiles.remove(path(capture))
    }
}
