import BackupCore

/// Raw blocks, in both directions.
private enum BlockKind {
    static let end: UInt8 = 0x00
    static let hostError: UInt8 = 0x06
    static let remoteError: UInt8 = 0x0B
    static let data: UInt8 = 0x0C
}

// MARK: - From the phone

extension JobLoop {
    /// Takes the files that the phone sends. One that the phone cannot read is kept out, and named
    /// in the run's report.
    func receiveFiles(_ message: DeviceLink.Message) throws(DeviceError) {
        expect(message[3]?.unsignedNumber)
        while try link.name() != nil {
            // The first name is the file's place on the phone; only the second one counts.
            guard let name = try link.name() else { throw Self.senseless }
            let path = try PhonePath.parse(name)
            guard path != PhonePath.root else { throw Self.senseless }
            try beginFile()
            try receiveFile(path)
        }
        try reply(try tree.trying { tree throws(CaptureTreeError) in try tree.settle() })
    }

    private func receiveFile(_ path: EntryPath) throws(DeviceError) {
        try tree.demanding { tree throws(CaptureTreeError) in try tree.beginFile(path) }
        while true {
            let block = try link.block()
            switch block.kind {
            case BlockKind.data:
                try link.receive(block.count) { piece throws(DeviceError) in
                    try tree.demanding { tree throws(CaptureTreeError) in try tree.append(piece) }
                    try count(piece.count)
                }
            case BlockKind.end:
                try link.receive(block.count) { _ throws(DeviceError) in }
                return try tree.demanding { tree throws(CaptureTreeError) in try tree.endFile() }
            case BlockKind.remoteError, BlockKind.hostError:
                return try dropFile(block.count)
            default:
                throw DeviceError(
                    .protocolViolation, "The phone sent a block of no known kind (\(block.kind))")
            }
        }
    }

    private func dropFile(_ byteCount: Int) throws(DeviceError) {
        var text: [UInt8] = []
        try link.receive(byteCount) { piece throws(DeviceError) in
            text += piece.prefix(300 - min(300, text.count))
        }
        let words = HostileText.escaped(text, limit: 300)
        try tree.demanding { tree throws(CaptureTreeError) in
            try tree.dropFile("The phone could not read it" + (words.isEmpty ? "." : ": \(words)."))
        }
    }
}

// MARK: - To the phone

extension JobLoop {
    /// A larger block gets the phone's backup agent killed for the memory it takes.
    private static var blockSize: Int { 32 << 10 }

    /// Sends the files that the phone asks for; what cannot be sent is told at the end.
    func sendFiles(_ message: DeviceLink.Message) throws(DeviceError) {
        guard let items = message[1]?.items else { throw Self.senseless }
        expect(message[3]?.unsignedNumber)
        var failures: [String: PropertyList] = [:]
        for item in items {
            guard let text = item.text else { throw Self.senseless }
            try beginFile()
            let status = try sendFile(text)
            guard status != .done else { continue }
            failures[text] = .dictionary([
                "DLFileErrorString": .string(status.text),
                "DLFileErrorCode": .integer(status.rawValue),
            ])
        }
        try link.write(DeviceLink.length(0))
        guard failures.isEmpty else {
            return try reply(.severalFiles, payload: .dictionary(failures))
        }
        try reply(.done)
    }

    private func sendFile(_ text: String) throws(DeviceError) -> HostStatus {
        let path = try PhonePath.parseBelowRoot(text)
        let name = Array(text.utf8)
        try link.write(DeviceLink.length(name.count) + name)
        var lost: DeviceError?
        let status = try tree.trying { tree throws(CaptureTreeError) in
            try tree.read(path) { piece throws(CaptureTreeError) in
                do throws(DeviceError) {
                    try send(piece)
                } catch {
                    lost = error
                    throw .ended(error)
                }
                return true
            }
        }
        if let lost { throw lost }
        if status == .done {
            try link.write(DeviceLink.length(1) + [BlockKind.end])
        } else {
            let words = Array(status.text.utf8)
            try link.write(DeviceLink.length(words.count + 1) + [BlockKind.hostError] + words)
        }
        return status
    }

    /// A piece as blocks, in one write.
    private func send(_ piece: [UInt8]) throws(DeviceError) {
        var framed: [UInt8] = []
        framed.reserveCapacity(piece.count + piece.count / Self.blockSize * 5 + 5)
        var rest = piece[...]
        while !rest.isEmpty {
            let block = rest.prefix(Self.blockSize)
            rest = rest.dropFirst(block.count)
            framed += DeviceLink.length(block.count + 1)
            framed.append(BlockKind.data)
            framed += block
        }
        try link.write(framed)
        try count(piece.count)
    }
}
