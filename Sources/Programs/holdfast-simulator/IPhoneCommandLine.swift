import ArgumentParser
import SimulatedPhones

/// Runs iPhones until it is told to stop.
struct IPhoneCommandLine: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "iphone",
        abstract: "Run simulated iPhones behind a usbmuxd socket until SIGINT or SIGTERM.",
        discussion: """
            When they are ready, one line of JSON on standard output (or shell exports with \
            --print-env) names the variable under which programs on libusbmuxd reach them. \
            Options describe every phone; --phone, which may be given more than once, adds a \
            phone that differs in some of them, as \
            --phone udid=00008110-000000000000002E,name=Second,photos=0. Besides the options \
            below it takes type, build, serial, capacity, seed, deny and passcode-timeout.
            """)

    @Option(help: "Folder for the socket, the pair records and the phones; made when missing.")
    var dir: String
    @Option(help: "Folder of the pair records; by default in --dir.")
    var records: String?
    @Option(help: "A phone, as udid=...,name=...; without any there is one.")
    var phone: [String] = []

    @Option(help: "UDID.") var udid: String?
    @Option(help: "Name its owner gave it.") var name: String?
    @Option(help: "Version of iOS.") var ios: String?
    @Option(help: "unlocked, locked or before-first-unlock.") var lock: String?
    @Option(help: "What the owner does at the trust dialog: ask, trust, deny or an error's name.")
    var trust: String?
    @Option(
        help: "What the owner does at a passcode prompt: ask, enter, cancel; none: no passcode.")
    var passcode: String?
    @Option(help: "Battery in percent.") var battery: String?
    @Option(help: "Free bytes of the phone's storage.") var free: String?
    @Option(help: "true when Find My is on.") var findMy: String?
    @Option(help: "How many photos and videos.") var photos: String?
    @Option(help: "Bytes of each photo.") var photoBytes: String?
    @Option(help: "How many photos are in iCloud only.") var cloudPhotos: String?
    @Option(help: "Serve this folder as the media folder.") var folder: String?
    @Option(help: "How many files a backup has; 0 files of 0 bytes are an erased phone.")
    var backupFiles: String?
    @Option(help: "Bytes of these files together.") var backupBytes: String?
    @Option(help: "Chooses the files.") var backupSeed: String?
    @Option(help: "Backup password from the start.") var backupPassword: String?
    @Option(help: "Rounds of key derivation; iOS takes 10,000,000.") var backupRounds: String?
    @Option(help: "Megabytes per second; unlimited without.") var bandwidth: String?
    @Option(help: "Milliseconds per operation.") var latency: String?
    @Flag(help: "Print shell exports instead of JSON.") var printEnv = false

    func validate() throws {
        _ = try phones()
    }

    func run() throws {
        let end = EndOfRun()
        let mux = try SimulatedUSBMux(directory: dir, records: records)
        let phones = try phones()
        let controls = phones.indices.map { "\(dir)/bay\($0 + 1).control" }
        let running = try zip(phones, controls).map { options, control in
            try SimulatediPhone(options: options, mux: mux, controlSocket: control)
        }
        Announcement.print(
            environment: mux.environment, controls: controls, asExports: printEnv)
        end.wait()
        for phone in running { phone.stop() }
        mux.stop()
    }

    private func phones() throws -> [IPhoneOptions] {
        let base = try base()
        guard !phone.isEmpty else { return [base] }
        return try phone.map { text in
            guard let options = IPhoneOptions(text, base: base) else {
                throw ValidationError("\"\(text)\" describes no phone; see --help.")
            }
            return options
        }
    }

    private func base() throws -> IPhoneOptions {
        let given = [
            "udid": udid, "name": name, "ios": ios, "lock": lock, "trust": trust,
            "passcode": passcode, "battery": battery, "free": free, "find-my": findMy,
            "photos": photos, "photo-bytes": photoBytes, "cloud-photos": cloudPhotos,
            "folder": folder, "backup-files": backupFiles, "backup-bytes": backupBytes,
            "backup-seed": backupSeed, "backup-password": backupPassword,
            "backup-rounds": backupRounds, "bandwidth": bandwidth, "latency": latency,
        ]
        var options = IPhoneOptions()
        for case (let name, let value?) in given {
            guard options.set(name, to: value) else {
                throw ValidationError("--\(name) does not take \"\(value)\".")
            }
        }
        return options
    }
}
