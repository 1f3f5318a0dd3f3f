/// What a malicious phone may send to a host in the middle of a backup.
package enum HostileMessage: String, Sendable, CaseIterable {
    // Paths that lead out of the backup, or nowhere.
    case uploadAbsolute = "upload-absolute"
    case uploadParent = "upload-parent"
    case uploadNUL = "upload-nul"
    case uploadLong = "upload-long"
    case uploadEmpty = "upload-empty"
    case downloadAbsolute = "download-absolute"
    case downloadParent = "download-parent"
    case downloadNUL = "download-nul"
    case downloadLong = "download-long"
    case listAbsolute = "list-absolute"
    case listParent = "list-parent"
    case listLong = "list-long"
    case makeAbsolute = "make-absolute"
    case makeParent = "make-parent"
    case makeNUL = "make-nul"
    case makeLong = "make-long"
    case moveFromAbsolute = "move-from-absolute"
    case moveFromParent = "move-from-parent"
    case moveToAbsolute = "move-to-absolute"
    case moveToParent = "move-to-parent"
    case moveToLong = "move-to-long"
    case removeAbsolute = "remove-absolute"
    case removeParent = "remove-parent"
    case removeNUL = "remove-nul"
    case copyFromParent = "copy-from-parent"
    case copyToAbsolute = "copy-to-absolute"
    case copyToParent = "copy-to-parent"
    // Frames whose lengths lie.
    case frame4GiB = "frame-4gib"
    case frameEmpty = "frame-empty"
    case frameNoList = "frame-no-list"
    case name4GiB = "name-4gib"
    case block4GiB = "block-4gib"
    case blockEmpty = "block-empty"
    case uploadEndless = "upload-endless"
    // Property lists that unfold to more than they are.
    case bombDeep = "bomb-deep"
    case bombWide = "bomb-wide"
    case bombCount = "bomb-count"
    case bombShared = "bomb-shared"
    case bombCycle = "bomb-cycle"
    // Messages that are none.
    case unknownMessage = "unknown-message"
    case noArray = "no-array"
    case emptyArray = "empty-array"
    case wrongTypes = "wrong-types"
    case earlyResponse = "early-response"

    /// Where hostile paths lead to; a test looks whether anything arrived there.
    static let escapeName = "holdfast-escape"

    /// The path that is hidden in the message, for those that have one.
    private func path(root: String) -> String {
        switch rawValue.split(separator: "-").last {
        case "absolute": "/tmp/\(Self.escapeName)"
        case "parent": "\(root)/../../\(Self.escapeName)"
        case "nul": "\(root)/\(Self.escapeName)\0.txt"
        case "long": "\(root)/" + String(repeating: "n", count: 10_000)
        default: ""
        }
    }

    /// What goes over the wire, and whether a host that stays answers it with a status.
    func bytes(root: String) -> (bytes: [UInt8], isAnswered: Bool) {
        let path = path(root: root)
        let good = "\(root)/Status.plist"
        switch self {
        case .uploadAbsolute, .uploadParent, .uploadNUL, .uploadLong, .uploadEmpty:
            return (Self.upload(to: path), true)
        case .downloadAbsolute, .downloadParent, .downloadNUL, .downloadLong:
            return (Self.frame(["DLMessageDownloadFiles", [.string(path)], [:], 0]), false)
        case .listAbsolute, .listParent, .listLong:
            return (Self.frame(["DLContentsOfDirectory", .string(path)]), true)
        case .makeAbsolute, .makeParent, .makeNUL, .makeLong:
            return (Self.frame(["DLMessageCreateDirectory", .string(path), [:], 0]), true)
        case .moveFromAbsolute, .moveFromParent:
            return (Self.move([path: .string("\(root)/\(Self.escapeName)")]), true)
        case .moveToAbsolute, .moveToParent, .moveToLong:
            return (Self.move([good: .string(path)]), true)
        case .removeAbsolute, .removeParent, .removeNUL:
            return (Self.frame(["DLMessageRemoveItems", [.string(path)], [:], 0]), true)
        case .copyFromParent:
            return (Self.copy(path, to: "\(root)/\(Self.escapeName)"), true)
        case .copyToAbsolute, .copyToParent: return (Self.copy(good, to: path), true)
        default: return (malformed(root: root), false)
        }
    }

    private func malformed(root: String) -> [UInt8] {
        let name = "\(root)/\(Self.escapeName)"
        switch self {
        case .frame4GiB: return [0xFF, 0xFF, 0xFF, 0xFF] + Array("bplist00".utf8)
        case .frameEmpty: return [0, 0, 0, 0]
        case .frameNoList: return [0, 0, 0, 16] + Array("this is no plist".utf8)
        case .name4GiB: return Self.uploadMessage + [0xFF, 0xFF, 0xFF, 0xFF]
        case .block4GiB:
            return Self.uploadMessage + Self.named(name) + [0xFF, 0xFF, 0xFF, 0xFF, 0x0C, 1, 2]
        case .blockEmpty:
            return Self.uploadMessage + Self.named(name) + [0, 0, 0, 0] + [0, 0, 0, 0]
        case .bombDeep: return PropertyListBomb.deep(100_000)
        case .bombWide: return PropertyListBomb.wide(5_000_000)
        case .bombCount: return PropertyListBomb.count()
        case .bombShared: return PropertyListBomb.shared()
        case .bombCycle: return PropertyListBomb.cycle()
        case .noArray: return Self.frame(["MessageName": "DLMessageUploadFiles"])
        case .emptyArray: return Self.frame([])
        case .wrongTypes: return Self.frame(["DLMessageMoveItems", 17, "none", ["a"]])
        case .earlyResponse:
            return Self.frame([
                "DLMessageProcessMessage", ["MessageName": "Response", "ErrorCode": 0],
            ])
        default: return Self.frame(["DLMessageInventedByNobody", [:], 1])
        }
    }

    private static func frame(_ list: PropertyList) -> [UInt8] {
        framed(list.encodeBinary())
    }

    fileprivate static func framed(_ body: [UInt8]) -> [UInt8] {
        var writer = ByteWriter()
        writer.putBig(UInt32(body.count))
        return writer.bytes + body
    }

    private static func move(_ moves: [String: PropertyList]) -> [UInt8] {
        frame(["DLMessageMoveItems", .dictionary(moves), [:], 0])
    }

    private static func copy(_ from: String, to target: String) -> [UInt8] {
        frame(["DLMessageCopyItem", .string(from), .string(target), [:], 0])
    }

    private static var uploadMessage: [UInt8] {
        frame(["DLMessageUploadFiles", [:], .real(0), 5])
    }

    /// Device path and backup path of an upload.
    private static func named(_ path: String) -> [UInt8] {
        framed(Array("/var/mobile/x".utf8)) + framed(Array(path.utf8))
    }

    private static func upload(to path: String) -> [UInt8] {
        uploadMessage + named(path) + [0, 0, 0, 6, 0x0C] + Array("hello".utf8)
            + [0, 0, 0, 1, 0x00] + [0, 0, 0, 0]
    }

    /// One more file of a list without end.
    static func endlessFile(_ number: Int, root: String) -> [UInt8] {
        named("\(root)/Snapshot/\(escapeName)-\(number)") + [0, 0, 0, 1, 0x00]
    }

    /// What begins a list without end.
    static var endlessBeginning: [UInt8] { uploadMessage }
}

/// Binary property lists that cost their reader more than their size.
private enum PropertyListBomb {
    /// Arrays in arrays.
    static func deep(_ levels: Int) -> [UInt8] {
        build(count: levels) { index in
            index + 1 < levels ? (0xA1, [UInt32(index + 1)]) : (0xA0, [])
        }
    }

    /// One array of very many references to one string.
    static func wide(_ count: Int) -> [UInt8] {
        var body = Array("bplist00".utf8) + [0xAF, 0x12]
        var head = ByteWriter()
        head.putBig(UInt32(count))
        body += head.bytes
        var references = [UInt8](repeating: 0, count: count * 4)
        for index in stride(from: 3, to: references.count, by: 4) { references[index] = 1 }
        body += references
        let string = body.count
        body += [0x51, 0x61]
        return finish(body, offsets: [8, string])
    }

    /// An array that says it has 2^60 items.
    static func count() -> [UInt8] {
        let body = Array("bplist00".utf8) + [0xAF, 0x13, 0x10, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]
        return finish(body, offsets: [8])
    }

    /// Thirty levels of ten references each to the next level: 10^30 when unfolded.
    static func shared() -> [UInt8] {
        build(count: 30) { index in
            index < 29 ? (0xAA, [UInt32](repeating: UInt32(index + 1), count: 10)) : (0xA0, [])
        }
    }

    /// An array that holds itself.
    static func cycle() -> [UInt8] {
        build(count: 1) { _ in (0xA1, [0]) }
    }

    private static func build(
        count: Int, _ object: (Int) -> (head: UInt8, references: [UInt32])
    ) -> [UInt8] {
        var body = Array("bplist00".utf8)
        var offsets: [Int] = []
        for index in 0..<count {
            offsets.append(body.count)
            let (head, references) = object(index)
            body.append(head)
            var writer = ByteWriter()
            for reference in references { writer.putBig(reference) }
            body += writer.bytes
        }
        return finish(body, offsets: offsets)
    }

    private static func finish(_ body: [UInt8], offsets: [Int]) -> [UInt8] {
        var writer = ByteWriter()
        writer.put(raw: body)
        for offset in offsets { writer.putBig(UInt32(offset)) }
        writer.put(raw: [0, 0, 0, 0, 0, 0, 4, 4])
        writer.putBig(UInt64(offsets.count))
        writer.putBig(UInt64(0))
        writer.putBig(UInt64(body.count))
        return HostileMessage.framed(writer.bytes)
    }
}
