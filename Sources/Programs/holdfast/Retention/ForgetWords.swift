import BackupCore
import ControlAPI

/// A plan of what to forget, in words.
enum ForgetWords {
    /// The plan's lines: for each phone and capture what goes, and what stays, newest first.
    static func lines(_ plan: JSONValue) -> [String] {
        var lines: [String] = []
        for owner in plan.elements ?? [] {
            for group in owner["groups"]?.elements ?? [] {
                let going = group["forget"]?.elements ?? []
                let kept = group["keep"]?.elements ?? []
                lines.append("\(heading(group)): \(going.count) to forget, \(kept.count) kept")
                lines += kept.map { line("keep", $0) } + going.map { line("forget", $0) }
            }
        }
        return lines
    }

    /// How many snapshots go.
    static func goingCount(_ plan: JSONValue) -> Int {
        (plan.elements ?? []).flatMap { $0["groups"]?.elements ?? [] }
            .reduce(0) { $0 + ($1["forget"]?.elements?.count ?? 0) }
    }

    private static func heading(_ group: JSONValue) -> String {
        guard let phone = group["phone"]?.text else { return "Snapshots of other programs" }
        let capture = group["capture"]?.text ?? ""
        guard let name = group["phone_name"]?.text else { return "\(phone), \(capture)" }
        return "\(HostileText.escaped(name, limit: 40)) (\(phone)), \(capture)"
    }

    private static func line(_ word: String, _ snapshot: JSONValue) -> String {
        let id = snapshot["id"]?.text?.prefix(8) ?? ""
        let reasons = (snapshot["reasons"]?.elements ?? []).compactMap(\.text)
        // Reasons may hold tags, which other programs can set.
        return "  \(word.padded(6))  \(id)  \(snapshot["time"]?.text ?? "")  "
            + HostileText.escaped(reasons.joined(separator: ", "), limit: 200)
    }
}

extension String {
    fileprivate func padded(_ width: Int) -> String {
        self + String(repeating: " ", count: max(0, width - count))
    }
}
