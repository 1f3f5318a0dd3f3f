/// A storage of the phone.
package struct PhoneStorage: Sendable {
    /// What a host shows, such as "Internal shared storage".
    package var name: String
    /// Whether it is a card.
    package var isRemovable: Bool
    /// What it holds.
    package var content: any PhoneContent

    /// A storage with content.
    package init(name: String, isRemovable: Bool = false, content: any PhoneContent) {
        self.name = name
        self.isRemovable = isRemovable
        self.content = content
    }
}

/// The phone's MTP service (Android's MtpServer): one thread, one transaction at a time.
final class MTPResponder {
    let link: PhoneLink
    let state: PhoneState
    let storages: [PhoneStorage]
    let options: PhoneOptions
    var table = ObjectTable()
    var session: UInt32?
    private var epoch = -1
    /// What SendObjectInfo prepared for SendObject.
    var upload: Upload?
    /// The storages visible during the running operation.
    var board: PhoneState.Board
    /// Names the host gave the phone.
    var friendlyName: String
    var partner = ""

    init(
        link: PhoneLink, state: PhoneState, storages: [PhoneStorage], options: PhoneOptions
    ) {
        self.link = link
        self.state = state
        self.storages = storages
        self.options = options
        self.friendlyName = options.friendlyName
        self.board = state.current
    }

    /// The command under way.
    struct Command {
        let operation: PTPOperation
        let transaction: UInt32
        let parameters: [UInt32]
        let data: [UInt8]

        func parameter(_ index: Int) -> UInt32 {
            index < parameters.count ? parameters[index] : 0
        }
    }

    /// What an operation answers with.
    struct Answer {
        var code: UInt16
        var parameters: [UInt32] = []
        /// Small answers; nil for none.
        var data: [UInt8]?

        static let ok = Answer(code: PTPResponse.ok.rawValue)

        static func failed(_ response: PTPResponse) -> Answer {
            Answer(code: response.rawValue)
        }

        static func data(_ bytes: [UInt8]) -> Answer {
            Answer(code: PTPResponse.ok.rawValue, data: bytes)
        }
    }

    /// Serves until the link closes.
    func run() {
        while true {
            do throws(LinkInterruption) {
                link.clearCancel()
                try serveOne()
            } catch {
                dropUpload()
                if error == .closed { return }
                guard error == .broken else { continue }
                let mustEnd = link.acknowledgeBreak()
                if mustEnd || !options.keepsSessionOfDeadHost { endSession() }
            }
        }
    }

    func endSession() {
        session = nil
        link.dropEvents()
    }

    func dropUpload() {
        upload?.writer?.discard()
        upload = nil
    }

    private func serveOne() throws(LinkInterruption) {
        let bytes = try link.receive()
        // A zero-length packet ends a data phase of whole packets.
        guard !bytes.isEmpty else { return }
        guard let head = PTPContainer(bytes), head.kind == .command else { return }
        board = state.current
        if board.epoch != epoch {
            epoch = board.epoch
            table = ObjectTable()
        }
        let known = PTPOperation(rawValue: head.code)
        state.count {
            let name = known.map { "\($0)" } ?? "0x" + String(head.code, radix: 16)
            $0.operations[name, default: 0] += 1
        }
        pause(link.model.perOperation)
        guard let operation = known else {
            return try respond(.failed(.operationNotSupported), to: head.transaction)
        }
        if operation == .sendObject {
            let answer = try receiveObject(head.transaction)
            return try respond(answer, to: head.transaction)
        }
        let data = operation.hostSendsData ? try receiveDataPhase() : []
        let command = Command(
            operation: operation, transaction: head.transaction, parameters: head.parameters,
            data: data)
        do throws(LinkInterruption) {
            let answer = try answer(command)
            if let data = answer.data {
                try sendData(data, for: command)
            }
            try respond(answer, to: head.transaction)
        } catch {
            guard error == .cancelled else { throw error }
            link.clearCancel()
            try respond(.failed(.transactionCancelled), to: head.transaction)
        }
    }

    func pause(_ duration: Duration) {
        if duration > .zero { sleep(for: duration) }
    }

    private func respond(_ answer: Answer, to transaction: UInt32) throws(LinkInterruption) {
        let bytes =
            PTPContainer(
                kind: .response, code: answer.code, transaction: transaction,
                parameters: answer.parameters
            ).bytes
        try sendWhole(bytes)
    }

    private func sendData(_ data: [UInt8], for command: Command) throws(LinkInterruption) {
        let head = PTPContainer(
            dataFor: command.operation.rawValue, transaction: command.transaction,
            byteCount: UInt64(data.count))
        try sendWhole(head.bytes + data)
    }

    private func sendWhole(_ bytes: [UInt8]) throws(LinkInterruption) {
        try stream(total: UInt64(bytes.count)) { offset, count, buffer, index in
            let start = Int(offset)
            buffer.replaceSubrange(index..<(index + count), with: bytes[start..<(start + count)])
        }
    }

    /// Sends `total` bytes as one transfer on the bus: short when they are no multiple of the
    /// packet size, closed by a zero-length packet when they are.
    func stream(
        total: UInt64,
        _ fill: (_ offset: UInt64, _ count: Int, _ buffer: inout [UInt8], _ index: Int) -> Void
    ) throws(LinkInterruption) {
        var offset: UInt64 = 0
        while true {
            let left = total - offset
            let (sent, wanted) = try link.send(upTo: left) { buffer, index, count in
                fill(offset, count, &buffer, index)
            }
            offset += UInt64(sent)
            // A transfer that was not filled ended with a short or empty packet.
            if offset == total, sent < wanted || sent % link.packetSize != 0 { return }
        }
    }

    private func receiveDataPhase() throws(LinkInterruption) -> [UInt8] {
        var bytes = try link.receive()
        guard let head = PTPContainer(bytes), head.kind == .data else { return [] }
        // Datasets are small; a host that announces more is cut short here.
        let whole = min(Int(head.length), 1 << 20)
        while bytes.count < whole {
            let more = try link.receive()
            if more.isEmpty { break }
            bytes += more
        }
        return Array(bytes.dropFirst(PTPContainer.headSize).prefix(whole - PTPContainer.headSize))
    }

    private func answer(_ command: Command) throws(LinkInterruption) -> Answer {
        switch command.operation {
        case .getDeviceInfo: return .data(deviceInfo())
        case .openSession: return openSession(command)
        default: break
        }
        guard session != nil else { return .failed(.sessionNotOpen) }
        do throws(ContentProblem) {
            switch command.operation {
            case .getObject, .getPartialObject, .getPartialObject64: break
            default: return try answerInSession(command)
            }
        } catch {
            return Answer(code: error.response)
        }
        return try sendObjectData(command)
    }

    private func openSession(_ command: Command) -> Answer {
        guard command.parameter(0) != 0 else { return .failed(.invalidParameter) }
        if let session {
            return Answer(code: PTPResponse.sessionAlreadyOpen.rawValue, parameters: [session])
        }
        session = command.parameter(0)
        state.count { $0.sessions += 1 }
        link.dropEvents()
        return .ok
    }

    private func answerInSession(_ command: Command) throws(ContentProblem) -> Answer {
        switch command.operation {
        case .closeSession:
            endSession()
            return .ok
        case .getStorageIDs:
            var writer = ByteWriter()
            writer.put(array: board.ids)
            return .data(writer.bytes)
        case .getStorageInfo: return try storageInfo(command)
        case .getNumObjects: return try objectCount(command)
        case .getObjectHandles: return try objectHandles(command)
        case .getObjectInfo: return try objectInfo(command)
        case .deleteObject: return try deleteObject(command)
        case .sendObjectInfo: return try acceptObjectInfo(command)
        case .getDevicePropDesc: return devicePropertyDescription(command)
        case .getDevicePropValue: return devicePropertyValue(command)
        case .setDevicePropValue: return setDeviceProperty(command)
        case .resetDevicePropValue: return .failed(.devicePropNotSupported)
        case .getObjectPropsSupported:
            var writer = ByteWriter()
            writer.put(array: ObjectProperty.allCases.map(\.rawValue))
            return .data(writer.bytes)
        case .getObjectPropDesc: return objectPropertyDescription(command)
        case .getObjectPropValue: return try objectPropertyValue(command)
        case .setObjectPropValue: return try setObjectProperty(command)
        case .getObjectPropList: return try objectPropertyList(command)
        case .getObjectReferences: return try references(command)
        case .setObjectReferences: return .failed(.operationNotSupported)
        case .getDeviceInfo, .openSession, .getObject, .getPartialObject, .getPartialObject64,
            .sendObject:
            // Handled before.
            return .failed(.operationNotSupported)
        }
    }
}
