import Appliance
import ArgumentParser
import BackupCore
import ControlAPI

/// `holdfast backup`
struct BackupCommand: BoxCommand {
    static let configuration = CommandConfiguration(
        commandName: "backup",
        abstract: "Wait for a phone and back it up to every drive.",
        discussion: """
            Unchanged files are not read again. Ctrl-C ends with a partial snapshot that the next \
            run continues. A phone that lost much since its last backup is a question, answered \
            with --accept-shrink.
            """)

    @ParentCommand var parent: Holdfast
    @Option(
        help: ArgumentHelp(
            "Only this phone, by its id or its bay; without it every phone that is plugged in.",
            valueName: "id"))
    var phone: String?
    @Option(help: ArgumentHelp("Only this capture: media or backup.", valueName: "kind"))
    var capture: Capture?
    @Option(
        help: ArgumentHelp(
            "How long to wait for a person, or for a phone that went away.",
            valueName: "seconds"))
    var wait: Int?
    @Flag(help: "Read unchanged files too.")
    var reread = false
    @Flag(help: "What is gone from the phone was meant to go.")
    var acceptShrink = false
    @Flag(help: "Then read back what was written, on every drive; the phone may be unplugged.")
    var verify = false
    @Flag(
        inversion: .prefixedNo,
        help: """
            Have an iPhone that does not encrypt its own backups do so, with a password that the \
            box makes and keeps; asked on a terminal before its first backup.
            """)
    var encrypt: Bool?
    @OptionGroup var output: OutputOptions

    func validate() throws {
        if let wait, !(0...86_400).contains(wait) {
            throw ValidationError("--wait must be 0 to 86400 seconds.")
        }
        guard encrypt != true || capture != .media else {
            throw ValidationError("--encrypt is about an iPhone's own backup, not its media.")
        }
    }

    func run(_ box: Box) async throws -> BackupCore.ExitCode {
        var options = BackupOptions(try choice())
        options.capture = capture
        options.waitSeconds = wait
        options.rereads = reread
        options.acceptsShrink = acceptShrink
        options.verifies = verify
        let display = RunDisplay(box, isJSON: output.json)
        options.encryption = offer(display, wait ?? box.configuration.waitSeconds)
        let summary = await box.backup(options, events: display.sink)
        return display.finish(summary)
    }

    private func offer(_ display: RunDisplay, _ waitSeconds: Int) -> EncryptionOffer {
        guard let encrypt else {
            guard Terminal.canAsk else { return .leave }
            return .ask { question in
                display.clearLine()
                // The phone's session is open meanwhile; nobody there is a no.
                return await Confirmation.answersYes(question, within: min(waitSeconds, 60))
            }
        }
        return encrypt ? .turnOn : .leave
    }

    private func choice() throws(ApplianceError) -> PhoneChoice {
        guard let phone else { return .any }
        if let choice = PhoneChoice(phone) { return choice }
        throw ApplianceError(
            .notFound, "There is no phone \(HostileText.escaped(phone, limit: 80)).",
            whatToDo: "Run holdfast phones to see which there are.")
    }
}

/// `holdfast restore`
struct RestoreCommand: BoxCommand {
    static let configuration = CommandConfiguration(
        commandName: "restore",
        abstract: "Restore a snapshot, or parts of it, into a folder; or a backup onto an iPhone.",
        discussion: """
            Full paths are kept beneath the folder. What exists is left alone unless --overwrite \
            is given; names that the filesystem cannot hold are reported (exit 27). With \
            --to-phone an iPhone takes the backup of an iPhone and becomes what that was; --merge \
            leaves what the backup does not hold. The phone's name is to be typed first.
            """)

    @ParentCommand var parent: Holdfast
    @Argument(help: "latest, a snapshot's id, or the start of one.")
    var snapshot: String
    @Option(
        help: ArgumentHelp(
            "A file or folder of the snapshot, as ls shows it; repeat it.", valueName: "path"))
    var path: [String] = []
    @Option(help: ArgumentHelp("The folder to restore into.", valueName: "dir"))
    var to: String?
    @Option(
        help: ArgumentHelp(
            "The iPhone to restore a backup onto, by its id or its bay.", valueName: "id"))
    var toPhone: String?
    @Flag(help: "With --to-phone: keep what is on the phone and not in the backup.")
    var merge = false
    @Option(
        help: ArgumentHelp(
            "With --to-phone: the phone's name, instead of typing it.", valueName: "name"))
    var yes: String?
    @Option(
        help: ArgumentHelp("With --to-phone: how long to wait for it.", valueName: "seconds"))
    var wait: Int?
    @Flag(help: "Replace files that exist.")
    var overwrite = false
    @OptionGroup var filter: FilterOptions
    @OptionGroup var output: OutputOptions

    func validate() throws {
        guard (to == nil) != (toPhone == nil) else {
            throw ValidationError("Give either --to DIR or --to-phone ID.")
        }
        if toPhone != nil, !path.isEmpty || overwrite {
            throw ValidationError("--to-phone takes the whole backup: no --path, no --overwrite.")
        }
        if to != nil, merge || yes != nil || wait != nil {
            throw ValidationError("--merge, --yes and --wait go with --to-phone.")
        }
    }

    func run(_ box: Box) async throws -> BackupCore.ExitCode {
        if let toPhone { return try await restore(to: toPhone, box) }
        guard let to else { return .usage }
        let options = RestoreOptions(
            snapshot: snapshot, filter: try filter.filter(), paths: path,
            folder: Surroundings.ofThisProcess().absolute(to), overwrites: overwrite)
        let display = RunDisplay(box, isJSON: output.json)
        let summary = await box.restore(options, events: display.sink)
        return display.finish(summary)
    }

    private func restore(to phone: String, _ box: Box) async throws -> BackupCore.ExitCode {
        guard let choice = PhoneChoice(phone) else {
            throw ApplianceError(
                .notFound, "There is no phone \(HostileText.escaped(phone, limit: 80)).",
                whatToDo: "Run holdfast phones to see which there are.")
        }
        let display = RunDisplay(box, isJSON: output.json)
        let plan = try await box.planRestore(
            snapshot, try filter.filter(), to: choice, isMerge: merge, wait: wait,
            events: display.sink)
        let name = plan.targetName
        if let yes, yes != name {
            throw ApplianceError(
                .usage, "The phone's name is not \(HostileText.escaped(yes, limit: 80)).",
                whatToDo: "It is \(HostileText.escaped(name, limit: 80)).")
        }
        let answer = Confirmation.ask(
            plan.sentences, "Type the name of the phone to go on:", isYes: yes != nil,
            isRight: { $0 == name })
        guard case .yes = answer else { return Confirmation.refusal(answer) }
        return display.finish(await box.restore(plan, wait: wait, events: display.sink))
    }
}

/// `holdfast check`
struct CheckCommand: BoxCommand {
    static let configuration = CommandConfiguration(
        commandName: "check",
        abstract: "Look whether every drive is whole.",
        discussion: """
            0 only when every enrolled drive is whole. 25: damage, and a good copy of everything \
            exists (run heal). 26: damage without a good copy.
            """)

    @ParentCommand var parent: Holdfast
    @Flag(help: "Read and hash everything, on every drive.")
    var readData = false
    @OptionGroup var filter: FilterOptions
    @Option(help: ArgumentHelp("How long to wait for another run.", valueName: "seconds"))
    var wait: Int?
    @OptionGroup var output: OutputOptions

    func run(_ box: Box) async throws -> BackupCore.ExitCode {
        let display = RunDisplay(box, isJSON: output.json)
        let summary = await box.check(
            try filter.filter(), readData: readData, wait: wait, events: display.sink)
        return display.finish(summary)
    }
}

/// `holdfast heal`
struct HealCommand: BoxCommand {
    static let configuration = CommandConfiguration(
        commandName: "heal",
        abstract: "Replace what is damaged or missing on a drive from another drive.",
        discussion: """
            Everything is read. Damaged files are moved to quarantine/ on their drive, never \
            deleted. 0 when afterwards every drive is whole and all hold the same files.
            """)

    @ParentCommand var parent: Holdfast
    @OptionGroup var filter: FilterOptions
    @Option(help: ArgumentHelp("How long to wait for another run.", valueName: "seconds"))
    var wait: Int?
    @OptionGroup var output: OutputOptions

    func run(_ box: Box) async throws -> BackupCore.ExitCode {
        let display = RunDisplay(box, isJSON: output.json)
        let summary = await box.heal(try filter.filter(), wait: wait, events: display.sink)
        return display.finish(summary)
    }
}

/// `holdfast scrub`
struct ScrubCommand: BoxCommand {
    static let configuration = CommandConfiguration(
        commandName: "scrub",
        abstract: "Read files back from the drives, as many as are due.",
        discussion: """
            Run daily it reads every file of every drive within 30 days, new ones first; it goes \
            on where the last one ended, needs no key, and waits while a backup runs. What it \
            finds is remembered until it is healed. 25: damage, and a good copy of everything \
            exists. 26: damage without a good copy.
            """)

    @ParentCommand var parent: Holdfast
    @Option(
        help: ArgumentHelp(
            "Read for this long, more than is due if there is time.", valueName: "n"))
    var minutes: Int?
    @Option(
        help: ArgumentHelp(
            "Read this share of each drive instead of what is due.", valueName: "n"))
    var percent: Int?
    @OptionGroup var filter: FilterOptions
    @OptionGroup var output: OutputOptions

    func validate() throws {
        if let minutes, !(1...10_080).contains(minutes) {
            throw ValidationError("--minutes must be 1 to 10080.")
        }
        if let percent, !(1...100).contains(percent) {
            throw ValidationError("--percent must be 1 to 100.")
        }
    }

    func run(_ box: Box) async throws -> BackupCore.ExitCode {
        let display = RunDisplay(box, isJSON: output.json)
        let summary = await box.scrub(
            try filter.filter(), ScrubOptions(minutes: minutes, percent: percent),
            events: display.sink)
        return display.finish(summary)
    }
}
