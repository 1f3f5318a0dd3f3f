package import BackupCore

/// What a journal tells. Texts are identifiers and codes only, so that a drive tells nothing
/// about people: no name, serial, path or file name fits in.
package struct JournalRecord: Hashable, Sendable {
    /// A stable word, in snake_case: `enrolled`, `committed`, `run`, `heal`, `check`, `tombstone`,
    /// `tombstones`, `prune`, `erased`, `erasure_done`.
    package let kind: String
    let fields: FlatJSON

    /// The drive was enrolled, or given its record back.
    package static func enrolled(set: DriveSetID) -> JournalRecord {
        JournalRecord("enrolled", [("set", .text(set.rawValue))])
    }

    /// A snapshot is durable on this drive.
    package static func committed(
        owner: OwnerID, snapshot: ContentID, phone: PhoneID, capture: Capture, run: RunID,
        isComplete: Bool
    ) -> JournalRecord {
        JournalRecord(
            "committed",
            [
                ("owner", .text(owner.rawValue)), ("snapshot", .text(snapshot.hex)),
                ("phone", .text(phone.rawValue)), ("capture", .text(capture.rawValue)),
                ("run", .text(run.rawValue)), ("complete", .count(isComplete ? 1 : 0)),
            ])
    }

    /// A run ended: its verdict, exit code and counts by name.
    package static func run(
        _ run: RunID, owner: OwnerID?, verdict: Verdict, exitCode: ExitCode,
        counts: [(name: StaticString, count: UInt64)]
    ) -> JournalRecord {
        var fields: [(String, FlatJSON.Value)] = [("run", .text(run.rawValue))]
        if let owner { fields.append(("owner", .text(owner.rawValue))) }
        fields.append(("verdict", .text(verdict.rawValue)))
        fields.append(("exit_code", .count(UInt64(exitCode.rawValue))))
        fields += counts.map { ("\($0.name)", .count($0.count)) }
        return JournalRecord("run", fields)
    }

    /// An owner's repository was checked, healed or scrubbed.
    package static func audit(
        _ kind: AuditKind, run: RunID, owner: OwnerID, files: Int, damaged: Int, repaired: Int,
        lost: Int, readData: Bool
    ) -> JournalRecord {
        JournalRecord(
            kind.rawValue,
            [
                ("run", .text(run.rawValue)), ("owner", .text(owner.rawValue)),
                ("files", .count(UInt64(files))), ("damaged", .count(UInt64(damaged))),
                ("repaired", .count(UInt64(repaired))), ("lost", .count(UInt64(lost))),
                ("read_data", .count(readData ? 1 : 0)),
            ])
    }

    /// An owner's repository was pruned on this drive; sizes in bytes.
    package static func pruned(
        run: RunID, owner: OwnerID, removedPacks: Int, repackedPacks: Int, freedBytes: UInt64
    ) -> JournalRecord {
        JournalRecord(
            "prune",
            [
                ("run", .text(run.rawValue)), ("owner", .text(owner.rawValue)),
                ("removed", .count(UInt64(removedPacks))),
                ("repacked", .count(UInt64(repackedPacks))), ("freed", .count(freedBytes)),
            ])
    }

    /// Which kind of look at a repository.
    package enum AuditKind: String, Sendable {
        case check
        case heal
        /// Files were read back; `read_data` is 1 when every file of the owner here is verified.
        case scrub
    }

    /// A file was removed on purpose; catch-up does not bring it back.
    package static func tombstone(_ file: FileName, owner: OwnerID) -> JournalRecord {
        JournalRecord(
            "tombstone",
            [
                ("owner", .text(owner.rawValue)), ("file", .text(file.kind.rawValue)),
                ("id", .text(file.id.hex)),
            ])
    }

    /// How many files one record names at most: their ids take 32,000 of the 65,536 bytes that a
    /// record may have.
    static let filesPerRecord = 500

    /// The records that say that `files` were removed on purpose, each of one kind of file, in
    /// the order of removing: cut short, they never name a pack and not the index that names it.
    static func tombstones(_ files: Set<FileName>, owner: OwnerID) -> [JournalRecord] {
        var records: [JournalRecord] = []
        for kind in DriveBackend.retiredKinds {
            let ids = files.filter { $0.kind == kind }.map(\.id).sorted()
            for start in stride(from: 0, to: ids.count, by: filesPerRecord) {
                let part = ids[start..<min(start + filesPerRecord, ids.count)]
                records.append(
                    JournalRecord(
                        "tombstones",
                        [
                            ("owner", .text(owner.rawValue)), ("file", .text(kind.rawValue)),
                            ("count", .count(UInt64(part.count))),
                            ("ids", .text(part.map(\.hex).joined())),
                        ]))
            }
        }
        return records
    }

    private init(_ kind: String, _ fields: [(String, FlatJSON.Value)]) {
        self.kind = kind
        var json = FlatJSON()
        for (key, value) in fields { json.set(key, value) }
        self.fields = json
    }

    init(kind: String, fields: FlatJSON) {
        self.kind = kind
        self.fields = fields
    }

    /// A field's text, nil when there is none. It comes from a drive: an identifier at most.
    package func text(_ key: String) -> String? {
        fields.text(key).flatMap { identifierIsValid($0) ? $0 : nil }
    }

    /// A field's count, nil when there is none.
    package func count(_ key: String) -> UInt64? { fields.count(key) }

    /// The files that a record of tombstones names; none for every other record. An id that is
    /// garbled names nothing.
    func tombstones(of owner: OwnerID) -> [FileName] {
        guard text("owner") == owner.rawValue,
            let file = text("file").flatMap(FileKind.init(rawValue:)), file != .config
        else { return [] }
        switch kind {
        case "tombstone":
            return text("id").flatMap { ContentID(hex: $0) }.map { [FileName(file, $0)] } ?? []
        case "tombstones":
            let digits = Array((fields.text("ids") ?? "").utf8)
            return stride(from: 0, to: digits.count, by: 2 * ContentID.byteCount).compactMap {
                let end = min($0 + 2 * ContentID.byteCount, digits.count)
                return ContentID(hex: String(decoding: digits[$0..<end], as: UTF8.self))
                    .map { FileName(file, $0) }
            }
        default:
            return []
        }
    }

    /// The record's file: one JSON line.
    func encoded(number: UInt64, time: Timestamp, previous: ContentID?) -> [UInt8] {
        var json = FlatJSON()
        json.set("number", .count(number))
        json.set("previous", .text(previous?.hex ?? ""))
        json.set("time", .count(UInt64(max(0, time.seconds))))
        json.set("kind", .text(kind))
        for field in fields.fields { json.set(field.key, field.value) }
        return Array((json.encoded() + "\n").utf8)
    }
}

/// A journal file's line as read.
struct JournalLine {
    let number: UInt64
    let previous: ContentID?
    let time: Timestamp
    let record: JournalRecord

    /// nil when the bytes are no record.
    init?(_ bytes: [UInt8]) {
        guard let json = FlatJSON(bytes), let number = json.count("number"),
            let previous = json.text("previous"), let seconds = json.count("time"),
            let kind = json.text("kind"), identifierIsValid(kind),
            previous.isEmpty || ContentID(hex: previous) != nil
        else { return nil }
        self.number = number
        self.previous = ContentID(hex: previous)
        time = Timestamp(seconds: Int64(clamping: seconds))
        var fields = FlatJSON()
        for field in json.fields where !["number", "previous", "time", "kind"].contains(field.key) {
            fields.set(field.key, field.value)
        }
        record = JournalRecord(kind: kind, fields: fields)
    }
}
