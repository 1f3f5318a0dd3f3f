import Foundation
import SimulatedPhones

/// The host's side of a backup, as small as it can be: every message is answered in a folder.
/// It trusts the phone, so only tests may use it.
final class PlainHost {
    let stream: any ServiceStream
    private let folder: String
    /// What GetFreeDiskSpace answers.
    var freeBytes: UInt64 = 1 << 40
    /// Names of messages in the order they came.
    private(set) var messages: [String] = []
    /// Paths that came in UploadFiles.
    private(set) var uploads: [String] = []
    /// Remote error blocks.
    private(set) var fileErrors: [String] = []
    /// The host goes when this message comes.
    var vanishesAt: String?
    /// Changes a file on its way to the phone.
    var tamper: ((_ path: String, _ bytes: inout [UInt8]) -> Void)?

    init(_ stream: any ServiceStream, folder: String) {
        self.stream = stream
        self.folder = folder
    }

    /// Greets, sends the request and answers until the phone's final message, which it returns.
    func run(_ request: PropertyList) throws -> PropertyList {
        let hello = try stream.readMessage()
        try stream.writeMessage(["DLMessageVersionExchange", "DLVersionsOk", hello[1] ?? 0])
        _ = try stream.readMessage()
        try stream.writeMessage([
            "DLMessageProcessMessage",
            [
                "MessageName": "Hello",
                "SupportedProtocolVersions": [.real(2.0), .real(2.1)],
            ],
        ])
        _ = try stream.readMessage()
        try stream.writeMessage(["DLMessageProcessMessage", request])
        while true {
            let message = try stream.readMessage()
            let name = message[0]?.text ?? ""
            messages.append(name)
            if name == vanishesAt { throw StreamEnd() }
            if name == "DLMessageProcessMessage" {
                // A phone that restarts may be gone already.
                try? stream.writeMessage(["DLMessageDisconnect", "___EmptyParameterString___"])
                return message[1] ?? [:]
            }
            if name == "DLMessageDisconnect" { return ["ErrorCode": -2] }
            try answer(name, message)
        }
    }

    private func answer(_ name: String, _ message: PropertyList) throws {
        let manager = FileManager.default
        let path = folder + "/" + (message[1]?.text ?? "")
        var payload: PropertyList = [:]
        var code: Int64 = 0
        switch name {
        case "DLMessageDownloadFiles": try sendFiles(message[1]?.items ?? [])
        case "DLMessageUploadFiles": try receiveFiles()
        case "DLMessageGetFreeDiskSpace": payload = .number(freeBytes)
        case "DLMessagePurgeDiskSpace": code = -1
        case "DLContentsOfDirectory":
            // A folder that is not there has no names.
            let names = (try? manager.contentsOfDirectory(atPath: path)) ?? []
            payload = .dictionary(
                Dictionary(uniqueKeysWithValues: names.map { ($0, PropertyList.dictionary([:])) }))
        case "DLMessageCreateDirectory":
            try manager.createDirectory(atPath: path, withIntermediateDirectories: true)
        case "DLMessageMoveItems":
            for (from, target) in message[1]?.entries ?? [:] {
                let place = folder + "/" + (target.text ?? "")
                // Nothing to replace is as good.
                try? manager.removeItem(atPath: place)
                try manager.moveItem(atPath: folder + "/" + from, toPath: place)
            }
        case "DLMessageRemoveItems":
            for item in message[1]?.items ?? [] {
                // What is not there is removed already.
                try? manager.removeItem(atPath: folder + "/" + (item.text ?? ""))
            }
        case "DLMessageCopyItem":
            try manager.copyItem(atPath: path, toPath: folder + "/" + (message[2]?.text ?? ""))
        default: code = -1
        }
        try stream.writeMessage([
            "DLMessageStatusResponse", .integer(code), "___EmptyParameterString___", payload,
        ])
    }

    private func framed(_ bytes: [UInt8], code: UInt8? = nil) -> [UInt8] {
        let count = UInt32(bytes.count + (code == nil ? 0 : 1))
        let head = [24, 16, 8, 0].map { UInt8(truncatingIfNeeded: count >> $0) }
        return head + (code.map { [$0] } ?? []) + bytes
    }

    private func sendFiles(_ paths: [PropertyList]) throws {
        for path in paths.compactMap(\.text) {
            try stream.write(framed(Array(path.utf8)))
            guard let data = FileManager.default.contents(atPath: folder + "/" + path) else {
                try stream.write(framed(Array("No such file".utf8), code: 0x06))
                continue
            }
            var bytes = Array(data)
            tamper?(path, &bytes)
            for start in stride(from: 0, to: bytes.count, by: 32_768) {
                let block = bytes[start..<min(start + 32_768, bytes.count)]
                try stream.write(framed(Array(block), code: 0x0C))
            }
            try stream.write(framed([], code: 0x00))
        }
        try stream.write([0, 0, 0, 0])
    }

    private func count() throws -> Int {
        try stream.read(4).reduce(0) { $0 << 8 | Int($1) }
    }

    private func receiveFiles() throws {
        while case let deviceLength = try count(), deviceLength > 0 {
            _ = try stream.read(deviceLength)
            let path = String(decoding: try stream.read(try count()), as: UTF8.self)
            uploads.append(path)
            var bytes: [UInt8] = []
            var code: UInt8 = 0x0C
            while code == 0x0C {
                let block = try stream.read(try count())
                code = block[0]
                if code == 0x0C { bytes += block.dropFirst() }
            }
            if code == 0x00 {
                try Data(bytes).write(to: URL(filePath: folder + "/" + path))
            } else {
                fileErrors.append(path)
            }
        }
    }
}
