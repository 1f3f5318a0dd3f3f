import BackupCore

/// One conversation with mobilebackup2: from the versions to the phone's last word.
struct BackupService {
    static let name = "com.apple.mobilebackup2"
    /// The versions of the protocol that this host speaks.
    private static let versions: [PropertyList] = [.real(2.0), .real(2.1)]

    private let link: DeviceLink
    private let tree: any CaptureTree

    /// Starts the service and agrees on versions.
    init(
        _ phone: any BackupPhone, over tree: any CaptureTree,
        patience: DeviceLink.Patience = DeviceLink.Patience(),
        idle: @escaping () throws(DeviceError) -> Void
    ) throws(DeviceError) {
        self.tree = tree
        link = DeviceLink(
            try phone.start(Self.name, withEscrowBag: true), patience: patience,
            now: phone.elapsed, idle: idle)
        do throws(DeviceError) {
            try exchangeVersions()
            try sayHello()
        } catch {
            link.disconnect()
            throw error
        }
    }

    private func exchangeVersions() throws(DeviceError) {
        let offer = try link.receive()
        guard offer.name == "DLMessageVersionExchange", let major = offer[1]?.unsignedNumber else {
            throw Self.otherVersion
        }
        try link.send([
            .string("DLMessageVersionExchange"), .string("DLVersionsOk"), .number(major),
        ])
        guard try link.receive().name == "DLMessageDeviceReady" else { throw Self.otherVersion }
    }

    private func sayHello() throws(DeviceError) {
        try process("Hello", ["SupportedProtocolVersions": .array(Self.versions)])
        let answer = try link.receive()
        guard answer.name == "DLMessageProcessMessage", let response = answer[1],
            response["MessageName"]?.text == "Response", response["ErrorCode"]?.number == 0
        else { throw Self.otherVersion }
    }

    private func process(
        _ name: String, _ fields: [String: PropertyList]
    ) throws(DeviceError) {
        var message = fields
        message["MessageName"] = .string(name)
        try link.send([.string("DLMessageProcessMessage"), .dictionary(message)])
    }

    /// Asks for a job and serves the phone until its end; the connection is closed then. Throws the
    /// error that the phone's code stands for.
    func perform(
        _ name: String, _ fields: [String: PropertyList], as job: JobError.Job
    ) throws(DeviceError) {
        do throws(DeviceError) {
            try process(name, fields)
            let loop = JobLoop(link: link, tree: tree, phase: job.phase)
            if let error = JobError.of(try loop.run(), job) { throw error }
        } catch {
            link.disconnect()
            throw error
        }
        link.disconnect()
    }

    /// Leaves without having asked for a job; may be called after one too.
    func leave() { link.disconnect() }

    private static var otherVersion: DeviceError {
        DeviceError(
            .unsuitable, "The phone's backup service speaks another version than this program",
            advice: "Use a newer version of this program.")
    }
}

extension JobError.Job {
    /// What the run's watchers see while the phone works.
    var phase: RunProgress.Phase { self == .restore ? .restoring : .reading }
}
