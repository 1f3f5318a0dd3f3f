import Synchronization

/// What a person, or a test, can do to the backup side of a running phone.
package enum BackupCommand: Sendable, Equatable {
    /// Use the phone: this share of its files (0 to 1) changes.
    case use(share: Double)
    case fault(BackupFault)
    case clearFaults
    /// SHA-256 over the data; without the private parts when `plain`.
    case digest(plain: Bool)
    /// Write the data into a folder.
    case export(folder: String)
    case counters

    /// Words of the control channel; nil when they do not begin with "backup" or are no command.
    package init?(control words: [String]) {
        guard words.first == "backup" else { return nil }
        self.init(words: Array(words.dropFirst()))
    }

    /// Words after "backup"; nil when they are no command.
    package init?(words: [String]) {
        let value = words.dropFirst().first
        switch (words.first ?? "", words.count) {
        case ("use", 2):
            guard let percent = value.flatMap(Double.init), (0...100).contains(percent) else {
                return nil
            }
            self = .use(share: percent / 100)
        case ("fault", 2) where value == "clear": self = .clearFaults
        case ("fault", 2...):
            guard let fault = BackupFault(words: Array(words.dropFirst())) else { return nil }
            self = .fault(fault)
        case ("digest", 1): self = .digest(plain: false)
        case ("digest", 2) where value == "plain": self = .digest(plain: true)
        case ("export", 2): self = .export(folder: value ?? "")
        case ("status", 1): self = .counters
        default: return nil
        }
    }
}

/// What a command gives back, as JSON on the control socket.
package struct BackupReport: Codable, Sendable, Equatable {
    /// Whether backups are encrypted.
    package var willEncrypt: Bool
    /// What hosts did.
    package var counters: BackupCounters
    /// Items and SHA-256 of the data, when they were asked for.
    package var itemCount: Int?
    package var digest: String?
}

extension BackupAgent {
    /// Carries a command out. Throws what SQLite or this machine's files say.
    @discardableResult
    package func perform(_ command: BackupCommand) throws -> BackupReport {
        var found: (itemCount: Int, text: String)?
        switch command {
        case .use(let share):
            // The state is free meanwhile, as a backup may run.
            var data = state.withLock { $0.data }
            try data.use(share: share)
            let used = data
            state.withLock { $0.data = used }
        case .fault(let fault): state.withLock { $0.faults.append(fault) }
        case .clearFaults: state.withLock { $0.faults = [] }
        case .digest(let plain):
            found = try state.withLock { $0.data }.digest(plain ? .plain : .all)
        case .export(let folder): try state.withLock { $0.data }.export(to: folder)
        case .counters: break
        }
        return state.withLock { state in
            BackupReport(
                willEncrypt: state.keyBag != nil, counters: state.counters,
                itemCount: found?.itemCount, digest: found?.text)
        }
    }
}
