import BackupCore
import CSystem
import Glibc

/// Runs torture programmes: `torture [NAME…] [--slice] [--trials N] [--seed S] [--first N]
/// [--dir DIR] [--until-failure]`; without a name all of them. The exit status is 0 when every one
/// passed.
@main
enum Torture {
    static func main() async {
        holdfast_limit_allocator()
        if let code = await TrialChild.serve(Array(CommandLine.arguments.dropFirst())) {
            _exit(code)
        }
        do {
            _exit(try await run(Array(CommandLine.arguments.dropFirst())) ? 0 : 1)
        } catch {
            say("\(error)")
            _exit(64)
        }
    }

    private static func run(_ arguments: [String]) async throws -> Bool {
        var words = Arguments(arguments)
        let isSlice = words.take("--slice")
        let trials = try words.number("--trials").map { Int($0) }
        let seed = try words.number("--seed") ?? UInt64.random(in: 1...999_999)
        let first = Int(try words.number("--first") ?? 0)
        let folder = words.text("--dir") ?? defaultFolder
        let endsWithFailure = words.take("--until-failure")
        let programmes = try words.programmes()
        var passed = true
        for programme in programmes {
            let count = trials ?? (isSlice ? programme.slice : programme.trials)
            guard count > 0 else { continue }
            let options = TrialOptions(
                trials: count, seed: seed, first: first, folder: folder,
                endsWithFailure: endsWithFailure)
            say("== \(programme.name): \(programme.summary) (\(count) trials, seed \(seed))")
            let result = try await programme.run(options)
            tell(programme, result, seed: seed)
            passed = passed && result.passed
        }
        return passed
    }

    /// In memory where there is a folder for it: no trial can tell whether a medium kept it.
    private static var defaultFolder: String {
        access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp"
    }

    private static func tell(_ programme: Programme, _ result: TrialCount, seed: UInt64) {
        for failure in result.failures.prefix(20) {
            say("   trial \(failure.trial): \(failure.what)")
            say(
                "   again: torture \(programme.name) --seed \(seed) --first \(failure.trial) "
                    + "--trials 1")
        }
        let counts = result.counts.map { "\($0.name) \($0.count)" }.joined(separator: ", ")
        say(
            "   \(result.passed ? "passed" : "FAILED"): \(result.trials) trials, "
                + "\(result.failures.count) failed" + (counts.isEmpty ? "" : "; \(counts)"))
    }

    /// Prints a line at once, so that a run that is killed has told how far it came.
    static func say(_ line: String) {
        let bytes = Array((line + "\n").utf8)
        _ = bytes.withUnsafeBytes { write(STDOUT_FILENO, $0.baseAddress, $0.count) }
    }
}

/// The words of the command line, taken out one by one.
private struct Arguments {
    struct Unknown: Error, CustomStringConvertible {
        let description: String
    }

    private var words: [String]

    init(_ words: [String]) { self.words = words }

    mutating func take(_ flag: String) -> Bool {
        guard let index = words.firstIndex(of: flag) else { return false }
        words.remove(at: index)
        return true
    }

    mutating func text(_ option: String) -> String? {
        guard let index = words.firstIndex(of: option), words.indices.contains(index + 1) else {
            return nil
        }
        let value = words[index + 1]
        words.removeSubrange(index...index + 1)
        return value
    }

    mutating func number(_ option: String) throws -> UInt64? {
        guard let text = text(option) else { return nil }
        guard let number = UInt64(text) else {
            throw Unknown(description: "\(option) takes a whole number, not \(text)")
        }
        return number
    }

    /// The programmes that the words left over name.
    func programmes() throws -> [Programme] {
        guard !words.isEmpty else { return Programme.all }
        return try words.map { word in
            guard let found = Programme.all.first(where: { $0.name == word }) else {
                let known = Programme.all.map(\.name).joined(separator: ", ")
                throw Unknown(description: "there is no programme \(word); there are: \(known)")
            }
            return found
        }
    }
}
