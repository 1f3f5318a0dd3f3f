import Appliance
import ArgumentParser
import BackupCore
import ControlAPI
import Glibc

/// `holdfast setup`
struct SetupCommand: BoxCommand {
    static let configuration = CommandConfiguration(
        commandName: "setup",
        abstract: "Enrol folders or mounts as drives, or adopt drives that are enrolled.",
        discussion: """
            Writes the configuration when there is none. On drives that are enrolled already it \
            rewrites nothing: it asks for each owner's recovery words (on the terminal, or one \
            owner a line on standard input, or in HOLDFAST_WORDS) and rebuilds keys and catalog.
            """)

    @ParentCommand var parent: Holdfast
    @Option(
        help: ArgumentHelp(
            "A folder for keys, catalog, locks and states, so that installations never meet.",
            valueName: "dir"))
    var state: String?
    @Option(
        help: ArgumentHelp("A folder or mount to use as a drive; repeat it.", valueName: "dir"))
    var drive: [String] = []
    @OptionGroup var output: OutputOptions

    func validate() throws {
        guard Set(drive).count == drive.count else {
            throw ValidationError("The same --drive was given twice.")
        }
    }

    func perform() async -> BackupCore.ExitCode {
        let surroundings = Surroundings.ofThisProcess()
        let isNamed =
            parent.config != nil || surroundings.variables["HOLDFAST_CONFIG"]?.isEmpty == false
        let options = SetupOptions(
            state: state.map(surroundings.absolute),
            drives: drive.map(surroundings.absolute),
            file: Configuration.file(named: parent.config, in: surroundings),
            isFileNamed: isNamed)
        do {
            let words = TypedWords(given: surroundings.variables["HOLDFAST_WORDS"])
            let report = try await SetupJob(options, in: surroundings, words: words).run()
            tell(report, isNamed: isNamed)
            return .done
        } catch {
            return fail(error)
        }
    }

    func run(_ box: Box) async throws -> BackupCore.ExitCode { .bug }

    private func tell(_ report: SetupReport, isNamed: Bool) {
        if output.json { Terminal.out(report.json.line) }
        for drive in report.drives {
            let how = report.enrolled.contains(drive.id) ? "enrolled" : drive.state
            Terminal.err("Drive \(HostileText.escaped(drive.name)) (\(drive.id)): \(how)")
        }
        for owner in report.adopted {
            Terminal.err("Owner \(owner): the words fit; keys and phones are known again.")
        }
        for note in report.notes { Terminal.err(note) }
        let file = HostileText.escaped(report.configuration.file)
        Terminal.err("Configuration: \(file)")
        if !isNamed, state != nil {
            Terminal.err("Use it with --config \(file), or set HOLDFAST_CONFIG.")
        }
    }
}

/// Owners' words from a variable, the terminal, or the lines of standard input.
private actor TypedWords: WordSource {
    /// How often a person is asked for the words of one owner.
    private static let attempts = 5

    /// Words that were given beforehand; each may be any owner's.
    private var given: [String]?
    /// Which of them opened an owner already.
    private var used: Set<Int> = []
    private var last: (owner: OwnerID, index: Int)?
    private var asked: [OwnerID: Int] = [:]

    init(given: String?) {
        self.given = given.map { text in
            text.split(whereSeparator: { $0 == "\n" || $0 == ";" }).map(String.init)
        }
    }

    func words(for owner: OwnerID, problem: String?) -> String? {
        if given == nil, Terminal.canAsk {
            asked[owner, default: 0] += 1
            return asked[owner, default: 0] > Self.attempts ? nil : ask(owner, problem)
        }
        let candidates = given ?? readAll()
        given = candidates
        var next = 0
        if let last {
            if last.owner == owner {
                next = last.index + 1
            } else {
                // The setup came to another owner: these words opened the one before.
                used.insert(last.index)
            }
        }
        while used.contains(next) { next += 1 }
        guard candidates.indices.contains(next) else { return nil }
        last = (owner, next)
        return candidates[next]
    }

    private func ask(_ owner: OwnerID, _ problem: String?) -> String? {
        if let problem { Terminal.err(problem) }
        Terminal.errPart("Recovery words of \(owner): ")
        return readLine()
    }

    /// Every line: whose words they are is found by trying.
    private func readAll() -> [String] {
        var lines: [String] = []
        while let line = readLine(), lines.count < 1000 {
            if !line.allSatisfy(\.isWhitespace) { lines.append(line) }
        }
        return lines
    }
}
