import BackupCore

extension Configuration {
    /// The commented file that `setup` writes.
    package var fileText: String {
        """
        # Holdfast's configuration. Unknown keys and wrong types are refused with their line.
        # Any key can be overridden by a variable: HOLDFAST_WAIT=30, HOLDFAST_SHRINK_PERCENT=50.

        # Keys, names and the catalog. Keep it private; the drives hold everything else.
        state: \(Self.quoted(state))

        # States of the bays, sockets and locks.
        run: \(Self.quoted(run))

        # Stands in snapshots and locks, and must differ from every other box's.
        hostname: \(Self.quoted(hostname))

        # How long a run waits for a person or a phone, in seconds.
        wait: \(waitSeconds)

        # What was read is made durable this often, in seconds, 300 at most: what is read between
        # two such moments is read again after a power cut.
        checkpoint: \(checkpointSeconds)

        # A phone that lost more than this part of its files or bytes since the last complete
        # backup, and at least minimum_files, is a question and not a deletion.
        shrink:
          percent: \(shrink.percent)
          minimum_files: \(shrink.minimumFiles)

        # What holdfast forget keeps of each phone when no rule is given, and all that it keeps
        # with --scheduled: the newest of the last so many days, weeks, months and years, and all
        # younger than "within". Without this everything is kept.
        \(Self.text(of: retention))

        # What stays free on each drive: bytes, or a number with KiB, MiB or GiB. Without it one
        # percent, at least 64 MiB and at most 1 GiB.
        \(reserveBytes.map { "reserve: \(Self.size($0))" } ?? "# reserve: 512 MiB")

        # error, warning, notice, info or debug.
        log: \(logLevel.rawValue)

        # The enrolled drives. A drive is known by its id; the path is where it is mounted.
        drives:
        \(drives.map(Self.block).joined(separator: "\n"))
        """ + "\n"
    }

    /// `text` with `new` drives added behind the last one, everything else as it was; nil when
    /// the file is written in a way that cannot be extended safely.
    package static func adding(
        _ new: [DriveEntry], to text: String, file: String, in surroundings: Surroundings
    ) -> String? {
        // Variables must not decide what stands in the file.
        var bare = surroundings
        bare.variables = bare.variables.filter { !$0.key.hasPrefix("HOLDFAST_") }
        // A file that cannot be read is not extended; the caller has read it before and tells why.
        guard let before = try? read(text, file: file, in: bare) else { return nil }
        var lines = text.split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
        if lines.last == "" { lines.removeLast() }
        let blocks = new.flatMap { block($0).split(separator: "\n").map(String.init) }
        if let key = lines.firstIndex(where: { $0.hasPrefix("drives:") }) {
            if lines[key].dropFirst("drives:".count).allSatisfy({ " []".contains($0) }) {
                lines[key] = "drives:"
            }
            let end =
                lines[(key + 1)...].firstIndex { line in
                    guard let first = line.first else { return false }
                    return first != " " && first != "-" && first != "#"
                } ?? lines.count
            let last =
                lines[key..<end].lastIndex {
                    !$0.isEmpty && !$0.allSatisfy { $0 == " " } && !$0.hasPrefix("#")
                } ?? key
            lines.insert(contentsOf: blocks, at: last + 1)
        } else {
            lines += ["", "drives:"] + blocks
        }
        let result = lines.joined(separator: "\n") + "\n"
        var expected = before
        expected.drives += new
        // The proof that only drives were added: what is read back is what was meant.
        guard let after = try? read(result, file: file, in: bare), after == expected else {
            return nil
        }
        return result
    }

    /// One drive as the lines of the file.
    package static func block(_ drive: DriveEntry) -> String {
        """
          - id: \(quoted(drive.id.rawValue))
            name: \(quoted(drive.name))
            path: \(quoted(drive.path))
        """
    }

    private static func text(of policy: RetentionPolicy) -> String {
        guard !policy.isEmpty else {
            return "# retention: {last: 7, daily: 14, weekly: 8, monthly: 24, yearly: 50}"
        }
        var rules: [String] = []
        for (key, count) in retentionCounts where policy[keyPath: count] > 0 {
            rules.append("\(key): \(policy[keyPath: count])")
        }
        if let within = policy.within { rules.append("within: \"\(within)\"") }
        return "retention: {\(rules.joined(separator: ", "))}"
    }

    private static func size(_ bytes: UInt64) -> String {
        bytes > 0 && bytes % (1 << 20) == 0 ? "\(bytes >> 20) MiB" : String(bytes)
    }

    /// A text as YAML: double quotes where a plain word could mean something else.
    static func quoted(_ text: String) -> String {
        var output = "\""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"", "\\": output += "\\\(scalar)"
            case " "..."~": output.unicodeScalars.append(scalar)
            default:
                let digits = String(scalar.value, radix: 16)
                output += "\\U" + String(repeating: "0", count: 8 - digits.count) + digits
            }
        }
        return output + "\""
    }
}
