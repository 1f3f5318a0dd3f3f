import Appliance
import ArgumentParser
import BackupCore
import ControlAPI

/// `holdfast prune`
struct PruneCommand: BoxCommand {
    static let configuration = CommandConfiguration(
        commandName: "prune",
        abstract: "Free the space of what no snapshot needs, on every drive.",
        discussion: """
            Shows what goes and what is written, and asks. Packs of which nothing is needed are \
            removed; ones that are needed in part are written anew when the waste is worth it. \
            Two drives must be there, and whole.
            """)

    @ParentCommand var parent: Holdfast
    @Option(help: ArgumentHelp("Only this owner.", valueName: "id"))
    var owner: String?
    @Option(
        help: ArgumentHelp(
            "How much of the packs may stay unused before they are written anew.",
            valueName: "percent"))
    var maxUnused = 5
    @Flag(help: "Read and hash everything on every drive first.")
    var readData = false
    @Flag(name: [.customShort("n"), .long], help: "Show the plan and change nothing.")
    var dryRun = false
    @Flag(help: "Carry the plan out without asking.")
    var yes = false
    @Flag(help: "Carry the plan out if it is within the limits for unattended runs.")
    var scheduled = false
    @Option(help: ArgumentHelp("How long to wait for another run.", valueName: "seconds"))
    var wait: Int?
    @OptionGroup var output: OutputOptions

    func validate() throws {
        guard [dryRun, yes, scheduled].count(where: { $0 }) < 2 else {
            throw ValidationError("Give one of --dry-run, --yes and --scheduled.")
        }
        guard (0...100).contains(maxUnused) else {
            throw ValidationError("--max-unused must be 0 to 100 percent.")
        }
    }

    func run(_ box: Box) async throws -> BackupCore.ExitCode {
        guard dryRun || yes || scheduled || Terminal.canAsk else {
            throw ApplianceError(
                .usage, "There is no terminal to ask on.",
                whatToDo: "Look at the plan with --dry-run, then carry it out with --yes.")
        }
        var request = PruneRequest()
        request.filter = QueryFilter(owner: try FilterOptions.id(owner, "owner"))
        request.mode = dryRun ? .dryRun : scheduled ? .scheduled : .person
        request.maxUnusedPercent = maxUnused
        request.readsAll = readData
        request.waitSeconds = wait
        let display = RunDisplay(box, isJSON: output.json)
        let asks = !dryRun && !yes && !scheduled
        let summary = await box.prune(request, events: display.sink) { plan in
            for line in PruneWords.lines(plan) { Terminal.err(line) }
            return asks ? Self.ask(plan) : true
        }
        return display.finish(summary)
    }

    private static func ask(_ plan: JSONValue) -> Bool {
        guard PruneWords.doesAnything(plan) else { return true }
        Terminal.errPart("Carry this out on every drive? Type yes: ")
        return readLine() == "yes"
    }
}

/// A plan of what to prune, in words.
enum PruneWords {
    /// The plan's lines, for each owner what happens to packs and room on every drive.
    static func lines(_ plan: JSONValue) -> [String] {
        (plan.elements ?? []).flatMap { owner in
            let packs = owner["packs"]
            func count(_ key: String) -> UInt64 { packs?[key]?.uint64 ?? 0 }
            func bytes(_ key: String) -> String { ByteText.of(owner[key]?.uint64 ?? 0) }
            var lines = [
                "\(owner["owner"]?.text ?? ""): \(owner["snapshots"]?.uint64 ?? 0) snapshots, "
                    + "\(bytes("total_bytes")) in packs on each drive",
                "  packs: \(count("removed")) removed, \(count("repacked")) written anew, "
                    + "\(count("kept")) kept",
                "  each drive: \(bytes("written_bytes")) written, \(bytes("freed_bytes")) freed, "
                    + "\(bytes("unused_bytes_left")) of kept packs stay unused",
            ]
            if count("postponed") > 0 {
                lines.append(
                    "  \(count("postponed")) packs would be written anew if there were room")
            }
            return lines
        }
    }

    /// Whether anything would change.
    static func doesAnything(_ plan: JSONValue) -> Bool {
        (plan.elements ?? []).contains { owner in
            (owner["indexes_replaced"]?.uint64 ?? 0) > 0
                || (owner["packs"]?["removed"]?.uint64 ?? 0) > 0
        }
    }
}
