import Glibc

/// Status.plist: where a backup stands.
struct BackupStatus {
    /// How far a backup came.
    enum SnapshotState: String {
        case uploading
        case moving
        case removing
        case finished
    }

    var uuid: String
    var isFull: Bool
    var state: SnapshotState
    /// Seconds since 1970.
    var date: Int64

    /// The status of a backup that begins now.
    init(isFull: Bool) {
        let digits = hexadecimal(randomKeyBytes(16)).uppercased()
        var groups: [Substring] = []
        var rest = digits[...]
        for count in [8, 4, 4, 4, 12] {
            groups.append(rest.prefix(count))
            rest = rest.dropFirst(count)
        }
        uuid = groups.joined(separator: "-")
        self.isFull = isFull
        state = .uploading
        date = Int64(time(nil))
    }

    /// Reads the file; nil when it is none that a phone or host wrote.
    init?(_ bytes: [UInt8]) {
        // What is no property list is no status; the caller reports 103.
        guard let list = try? PropertyList.decode(bytes), let uuid = list["UUID"]?.text,
            let isFull = list["IsFullBackup"]?.truth, list["Version"]?.text != nil,
            let state = list["SnapshotState"]?.text.flatMap(SnapshotState.init)
        else { return nil }
        self.uuid = uuid
        self.isFull = isFull
        self.state = state
        date = 0
    }

    /// The bytes of the file.
    var encoded: [UInt8] {
        let list: PropertyList = [
            "BackupState": "new", "Date": .moment(date), "IsFullBackup": .boolean(isFull),
            "SnapshotState": .string(state.rawValue), "UUID": .string(uuid), "Version": "3.3",
        ]
        return list.encodeBinary()
    }
}
