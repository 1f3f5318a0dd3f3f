import Glibc

/// Where faults strike.
extension BackupSession {
    /// Tells that a stage begins; what shall go wrong there does.
    func enter(_ stage: BackupStage) throws {
        try phone.reach("backup.\(stage.rawValue)")
        while let fault = agent.takeFault({ $0.stage == stage }) { try strike(fault) }
    }

    private func strike(_ fault: BackupFault) throws {
        switch fault {
        case .error(let code, _): throw BackupFailure(code, "Error on purpose")
        case .silence(let duration, _): pause(duration)
        case .hang: try hang()
        case .leave:
            try link.send(["DLMessageDisconnect", "The phone leaves"])
            throw HostLeft()
        case .hostile(let message, _): try send(message)
        case .fileError, .noResponse, .keepSnapshot: break  // these have no stage
        }
    }

    private func pause(_ duration: Duration) {
        let (seconds, attoseconds) = duration.components
        usleep(useconds_t(clamping: seconds * 1_000_000 + attoseconds / 1_000_000_000_000))
    }

    /// Says nothing more, until the host has enough.
    private func hang() throws {
        while !link.canRead(within: .seconds(60)) {}
        while true { _ = try link.receive() }
    }

    private func send(_ message: HostileMessage) throws {
        let root = phone.backupFacts.udid
        if message == .uploadEndless { return try sendEndlessList(root) }
        let (bytes, isAnswered) = message.bytes(root: root)
        try link.write(bytes)
        if message.rawValue.hasPrefix("download") {
            _ = try link.takeFiles { _ in }
            return
        }
        // Whatever the host answers, the phone goes on; a host that does not know the message may
        // answer nothing.
        if isAnswered || link.canRead(within: .seconds(2)) { _ = try link.receive() }
    }

    /// Files without end; a host that takes two million of them has no limit.
    private func sendEndlessList(_ root: String) throws {
        try link.write(HostileMessage.endlessBeginning)
        for start in stride(from: 0, to: 2_000_000, by: 1_000) {
            var bytes: [UInt8] = []
            for number in start..<start + 1_000 {
                bytes += HostileMessage.endlessFile(number, root: root)
            }
            try link.write(bytes)
        }
        try link.write([0, 0, 0, 0])
        _ = try link.receive()
    }
}
