import BackupCore
import Glibc
import Synchronization

@testable import ApplePhone

/// What phones of these tests do in a backup.
enum BackupScript {
    static let udid = "00008030-000000000000002E"

    static func plist(_ entries: [String: PropertyList]) -> [UInt8] {
        PropertyList.dictionary(entries).encodeBinary()
    }

    /// A page that SQLite would open: the header of an empty database of `pages` pages.
    static func database(pages: Int = 2) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: pages * 4096)
        bytes.replaceSubrange(0..<16, with: Array("SQLite format 3\0".utf8))
        bytes[16] = 0x10
        bytes[31] = UInt8(pages)
        bytes[27] = 3
        bytes[95] = 3
        return bytes
    }

    /// The files that a phone leaves in a backup of `contents`.
    static func files(
        _ contents: [String: [UInt8]], state: String = "finished", encrypted: Bool = false
    ) -> [(String, [UInt8]?)] {
        var files: [(String, [UInt8]?)] = contents.sorted { $0.key < $1.key }
            .map { ("\(udid)/Snapshot/\($0.key)", $0.value) }
        files.append(("\(udid)/Snapshot/Manifest.db", database()))
        files.append(
            (
                "\(udid)/Snapshot/Manifest.plist",
                plist(["IsEncrypted": .boolean(encrypted), "Version": .string("10.0")])
            ))
        files.append(
            (
                "\(udid)/Snapshot/Status.plist",
                plist(["SnapshotState": .string(state), "IsFullBackup": .boolean(true)])
            ))
        return files
    }

    /// Puts a backup that can be continued into `tree`.
    static func fill(_ tree: MemoryTree) {
        for (path, content) in files(["00/00aa": [1]]) {
            tree[path.replacing("/Snapshot/", with: "/")] = content
        }
        tree["\(udid)/Info.plist"] = [1]
    }

    /// A whole backup: uploads into `Snapshot`, then moves.
    static func backUp(
        _ phone: PhoneEnd, _ files: [(String, [UInt8]?)], end: Int64 = 0
    ) throws {
        try phone.ask(.string("DLMessageCreateDirectory"), .string("\(udid)/Snapshot"), .real(0))
        try phone.upload(files)
        var moves: [String: PropertyList] = [:]
        for (path, content) in files where content != nil {
            moves[path] = .string(path.replacing("/Snapshot/", with: "/"))
        }
        try phone.ask(.string("DLMessageMoveItems"), .dictionary(moves), .real(90))
        try phone.ask(
            .string("DLMessageRemoveItems"), .array([.string("\(udid)/Snapshot")]), .real(99))
        try phone.end(end)
    }
}

/// Runs a backup of a scripted phone into a tree.
func backUp(_ phone: ScriptedBackupPhone, _ tree: MemoryTree) -> DeviceError? {
    do {
        try FullBackup(phone, into: tree).run()
        return nil
    } catch {
        return error
    }
}

/// Whether a phone's thread sets `flag`, which may be after the host has gone on.
func becomesTrue(_ flag: borrowing Mutex<Bool>) -> Bool {
    for _ in 0..<2000 {
        if flag.withLock({ $0 }) { return true }
        usleep(5000)
    }
    return false
}
