import Appliance
import ArgumentParser
import BackupCore
import ControlAPI

/// `holdfast forget`
struct ForgetCommand: BoxCommand {
    static let configuration = CommandConfiguration(
        commandName: "forget",
        abstract: "Remove snapshots that are named, or that no rule keeps, from every drive.",
        discussion: """
            Shows what goes and why, and asks. Rules mean what they mean to restic, for each \
            phone and capture; partial snapshots are not counted, and the last complete one \
            always stays. Space is freed by holdfast prune.
            """)

    @ParentCommand var parent: Holdfast
    @Argument(help: "Ids of snapshots, or the starts of them; without one the rules decide.")
    var snapshot: [String] = []
    @OptionGroup(title: "Rules") var rules: KeepOptions
    @Option(help: ArgumentHelp("Only this phone.", valueName: "id"))
    var phone: String?
    @Option(help: ArgumentHelp("Only this capture: media or backup.", valueName: "kind"))
    var capture: Capture?
    @Option(help: ArgumentHelp("Only this owner.", valueName: "id"))
    var owner: String?
    @Flag(name: [.customShort("n"), .long], help: "Show the plan and change nothing.")
    var dryRun = false
    @Flag(help: "Carry the plan out without asking.")
    var yes = false
    @Flag(help: "Carry out what the configuration says, within the limits for unattended runs.")
    var scheduled = false
    @Option(help: ArgumentHelp("How long to wait for another run.", valueName: "seconds"))
    var wait: Int?
    @OptionGroup var output: OutputOptions

    func validate() throws {
        guard [dryRun, yes, scheduled].count(where: { $0 }) < 2 else {
            throw ValidationError("Give one of --dry-run, --yes and --scheduled.")
        }
        guard snapshot.isEmpty || rules.policy.isEmpty else {
            throw ValidationError("Name snapshots or give rules, not both.")
        }
        guard !scheduled || snapshot.isEmpty && rules.policy.isEmpty else {
            throw ValidationError("--scheduled takes its rules from the configuration.")
        }
    }

    func run(_ box: Box) async throws -> BackupCore.ExitCode {
        guard dryRun || yes || scheduled || Terminal.canAsk else {
            throw ApplianceError(
                .usage, "There is no terminal to ask on.",
                whatToDo: "Look at the plan with --dry-run, then carry it out with --yes.")
        }
        var options = ForgetOptions()
        options.snapshots = snapshot
        options.policy = rules.policy
        options.filter = QueryFilter(
            phone: try FilterOptions.id(phone, "phone"), capture: capture,
            owner: try FilterOptions.id(owner, "owner"))
        options.mode = dryRun ? .dryRun : scheduled ? .scheduled : .person
        options.waitSeconds = wait
        let display = RunDisplay(box, isJSON: output.json)
        let asks = !dryRun && !yes && !scheduled
        let summary = await box.forget(options, events: display.sink) { plan in
            for line in ForgetWords.lines(plan) { Terminal.err(line) }
            return asks ? Self.ask(plan) : true
        }
        return display.finish(summary)
    }

    private static func ask(_ plan: JSONValue) -> Bool {
        let count = ForgetWords.goingCount(plan)
        guard count > 0 else { return true }
        Terminal.errPart(
            "Forget \(count) of these snapshots for good, on every drive? Type yes: ")
        return readLine() == "yes"
    }
}

/// The rules on the command line.
struct KeepOptions: ParsableArguments {
    @Option(help: ArgumentHelp("Keep the newest N (or: unlimited).", valueName: "n"))
    var keepLast = KeepCount.none
    @Option(help: ArgumentHelp("Keep the newest of each of the last N hours.", valueName: "n"))
    var keepHourly = KeepCount.none
    @Option(help: ArgumentHelp("Keep the newest of each of the last N days.", valueName: "n"))
    var keepDaily = KeepCount.none
    @Option(help: ArgumentHelp("Keep the newest of each of the last N weeks.", valueName: "n"))
    var keepWeekly = KeepCount.none
    @Option(help: ArgumentHelp("Keep the newest of each of the last N months.", valueName: "n"))
    var keepMonthly = KeepCount.none
    @Option(help: ArgumentHelp("Keep the newest of each of the last N years.", valueName: "n"))
    var keepYearly = KeepCount.none
    @Option(
        help: ArgumentHelp(
            "Keep all younger than this, from the newest on: 1y5m7d2h.", valueName: "time"))
    var keepWithin: CalendarSpan?
    @Option(
        help: ArgumentHelp(
            "Keep those with this tag, or all tags of a list with commas; repeat it.",
            valueName: "tags"))
    var keepTag: [String] = []

    func validate() throws {
        guard keepTag.allSatisfy({ !Self.tags($0).isEmpty }) else {
            throw ValidationError("--keep-tag needs a tag.")
        }
    }

    /// The rules.
    var policy: RetentionPolicy {
        var policy = RetentionPolicy()
        policy.last = keepLast.count
        policy.hourly = keepHourly.count
        policy.daily = keepDaily.count
        policy.weekly = keepWeekly.count
        policy.monthly = keepMonthly.count
        policy.yearly = keepYearly.count
        policy.within = keepWithin
        policy.tags = keepTag.map(Self.tags)
        return policy
    }

    private static func tags(_ text: String) -> [String] {
        text.split(separator: ",").map { String($0.drop { $0 == " " }) }.filter { !$0.isEmpty }
    }
}

/// A whole number, or `unlimited`.
struct KeepCount: ExpressibleByArgument {
    static let none = KeepCount(count: 0)

    let count: Int

    init?(argument: String) {
        if argument == "unlimited" {
            count = RetentionPolicy.unlimited
        } else {
            guard let number = Int(argument), number >= 0 else { return nil }
            count = number
        }
    }

    private init(count: Int) { self.count = count }

    var defaultValueDescription: String { "\(count)" }
}

extension CalendarSpan: ExpressibleByArgument {
    /// The span that the command line tells.
    package init?(argument: String) { self.init(argument) }
}
