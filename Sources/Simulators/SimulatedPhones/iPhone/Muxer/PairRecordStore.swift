import Foundation

/// The folder where usbmuxd keeps what hosts need to open a phone again: one file for each phone,
/// named by its UDID, and the host's own name.
final class PairRecordStore: Sendable {
    private let folder: String

    /// Uses the folder, which is made when missing.
    init(folder: String) throws(SocketProblem) {
        self.folder = folder
        do {
            try FileManager.default.createDirectory(
                atPath: folder, withIntermediateDirectories: true)
        } catch {
            throw SocketProblem(description: "Cannot make the folder \(folder): \(error).")
        }
    }

    /// The host's `SystemBUID`, made up at the first question.
    var systemBUID: String {
        let path = folder + "/SystemConfiguration.plist"
        if let known = read(path).flatMap({ try? PropertyList.decode($0) })?["SystemBUID"]?.text {
            return known  // one that cannot be read is replaced, as the daemon does
        }
        let made = UUID().uuidString
        _ = write(["SystemBUID": .string(made)], to: path)
        return made
    }

    /// The file of a record, byte for byte.
    func record(_ id: String) -> [UInt8]? {
        path(of: id).flatMap(read)
    }

    /// Keeps a record; false when it is no property list or its name is none.
    func save(_ bytes: [UInt8], as id: String) -> Bool {
        // What is no property list is refused below.
        guard let path = path(of: id), let list = try? PropertyList.decode(bytes) else {
            return false
        }
        return write(list, to: path)
    }

    /// False when there was none.
    func delete(_ id: String) -> Bool {
        guard let path = path(of: id) else { return false }
        // Sound: the path lives through the call.
        return unsafe unlink(path) == 0
    }

    /// A UDID has letters, digits and dashes; anything else could lead out of a folder.
    static func isUDID(_ text: String) -> Bool {
        (1...64).contains(text.utf8.count)
            && text.utf8.allSatisfy { byte in
                byte == 0x2D || (0x30...0x39).contains(byte) || (0x41...0x5A).contains(byte)
                    || (0x61...0x7A).contains(byte)
            }
    }

    private func path(of id: String) -> String? {
        Self.isUDID(id) ? "\(folder)/\(id).plist" : nil
    }

    private func read(_ path: String) -> [UInt8]? {
        FileManager.default.contents(atPath: path).map { Array($0) }
    }

    private func write(_ list: PropertyList, to path: String) -> Bool {
        FileManager.default.createFile(
            atPath: path, contents: Data(list.encodeXML()), attributes: [.posixPermissions: 0o644])
    }
}
