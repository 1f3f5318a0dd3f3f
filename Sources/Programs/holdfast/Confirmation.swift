import BackupCore

/// Asks a person before something is deleted or replaced.
enum Confirmation {
    /// What became of a question.
    enum Answer {
        case yes
        case no
        /// Nobody can be asked, and `--yes` was not given.
        case nobody
    }

    /// Shows a plan's sentences and asks `question`; `--yes` answers it, `isRight` judges what was
    /// typed otherwise.
    static func ask(
        _ plan: [String], _ question: String, isYes: Bool, isRight: (String) -> Bool
    ) -> Answer {
        for line in plan { Terminal.err(line) }
        if isYes { return .yes }
        guard Terminal.canAsk else { return .nobody }
        Terminal.errPart(question + " ")
        return isRight(readLine() ?? "") ? .yes : .no
    }

    /// Asks a question that can be left open: no answer in `seconds` is a no, and so is an
    /// interruption.
    static func answersYes(_ question: String, within seconds: Int) async -> Bool {
        Terminal.err(question)
        Terminal.errPart("[y/N] ")
        let clock = ContinuousClock()
        let deadline = clock.now + .seconds(seconds)
        while !Terminal.hasInput {
            guard clock.now < deadline, !Task.isCancelled else {
                Terminal.err("No answer: it stays as it is.")
                Terminal.forgetInput()
                return false
            }
            // A cancelled sleep ends the loop by its next look.
            try? await Task.sleep(for: .milliseconds(100))
        }
        return ["y", "yes"].contains((readLine() ?? "").lowercased())
    }

    /// Tells that nothing was done, and gives the exit status of that.
    static func refusal(_ answer: Answer) -> BackupCore.ExitCode {
        if case .nobody = answer {
            Terminal.err("holdfast: Nobody can be asked here. Nothing was changed; add --yes.")
            return .usage
        }
        Terminal.err("holdfast: Nothing was changed.")
        return .interrupted
    }
}
