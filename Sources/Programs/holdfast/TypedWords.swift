import Appliance
import BackupCore
import ControlAPI

/// Owners' words from a variable, the terminal, or the lines of standard input.
actor TypedWords: WordSource {
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
