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
