package import BackupCore
import ResticFormat

/// What `drive.json` says: who the drive is.
package struct DriveRecord: Hashable, Sendable {
    /// The version of the folder's layout that this program writes and reads.
    package static let currentVersion: UInt64 = 1

    package var drive: DriveID
    package var set: DriveSetID
    /// Counts the changes of the record; of two copies the higher one is newer.
    package var generation: UInt64
    /// 32 random hexadecimal digits, new with each generation: a drive that comes back with an
    /// older one is a clone or an old image.
    package var nonce: String

    /// A record with every field given.
    package init(drive: DriveID, set: DriveSetID, generation: UInt64, nonce: String) {
        self.drive = drive
        self.set = set
        self.generation = generation
        self.nonce = nonce
    }

    /// The record of a new drive; the id is random when none is given.
    package static func new(set: DriveSetID, drive: DriveID? = nil) -> DriveRecord {
        DriveRecord(
            drive: drive ?? DriveID(trusted: "drive-" + randomHex(8)), set: set, generation: 1,
            nonce: randomHex(16))
    }

    /// The next generation, with a nonce of its own.
    package func renewed() -> DriveRecord {
        DriveRecord(
            drive: drive, set: set, generation: generation + 1, nonce: Self.randomHex(16))
    }

    private static func randomHex(_ byteCount: Int) -> String {
        String(
            secureRandomBytes(byteCount).flatMap { byte in
                let digits = String(byte, radix: 16)
                return byte < 16 ? "0" + digits : digits
            })
    }
}

extension DriveRecord {
    /// What reading a `drive.json` gives.
    enum Reading: Hashable {
        case record(DriveRecord)
        /// Written by a version of the layout that this program does not know.
        case newer
        case garbled
    }

    /// The file's bytes: one JSON line.
    var encoded: [UInt8] {
        var json = FlatJSON()
        json.set("version", .count(Self.currentVersion))
        json.set("drive", .text(drive.rawValue))
        json.set("set", .text(set.rawValue))
        json.set("generation", .count(generation))
        json.set("nonce", .text(nonce))
        return Array((json.encoded() + "\n").utf8)
    }

    /// Reads a file's bytes. Fields that are not ours are ignored.
    static func read(_ bytes: [UInt8]) -> Reading {
        guard let json = FlatJSON(bytes), let version = json.count("version") else {
            return .garbled
        }
        guard version <= currentVersion else { return .newer }
        guard version > 0, let drive = json.text("drive").flatMap(DriveID.init(rawValue:)),
            let set = json.text("set").flatMap(DriveSetID.init(rawValue:)),
            let generation = json.count("generation"), let nonce = json.text("nonce"),
            identifierIsValid(nonce)
        else { return .garbled }
        return .record(
            DriveRecord(drive: drive, set: set, generation: generation, nonce: nonce))
    }
}
