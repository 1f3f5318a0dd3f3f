import BackupCore

extension Configuration {
    /// The keys of the file, nested ones with a dot. A variable is `HOLDFAST_` and the key in
    /// capitals, `_` for the dot.
    static let keys = [
        "state", "run", "hostname", "drives", "wait", "checkpoint", "shrink.percent",
        "shrink.minimum_files", "retention.last", "retention.daily", "retention.weekly",
        "retention.monthly", "retention.yearly", "retention.within", "reserve", "log",
    ]

    /// The keys whose values are tables.
    private static let tables = ["shrink", "retention"]

    /// The counts of `retention`.
    static var retentionCounts: [(key: String, count: WritableKeyPath<RetentionPolicy, Int>)] {
        [
            ("last", \.last), ("daily", \.daily), ("weekly", \.weekly), ("monthly", \.monthly),
            ("yearly", \.yearly),
        ]
    }

    /// The file that `named` (from `--config`), `HOLDFAST_CONFIG` or the default leads to.
    package static func file(named: String?, in surroundings: Surroundings) -> String {
        if let named { return surroundings.absolute(named) }
        if let named = surroundings.variables["HOLDFAST_CONFIG"], !named.isEmpty {
            return surroundings.absolute(named)
        }
        return surroundings.defaultFile
    }

    /// Reads `file` and the variables over it. A missing file, an unknown key or a wrong type is
    /// refused with its place and reason.
    package static func load(
        file: String, in surroundings: Surroundings
    ) throws(ApplianceError) -> Configuration {
        guard let bytes = try StateFiles.read(file) else {
            throw ApplianceError(
                .configuration,
                "There is no configuration: \(HostileText.escaped(file)) does not exist.",
                whatToDo: "Run holdfast setup --drive DIR --drive DIR, or name the file with "
                    + "--config.")
        }
        guard let text = String(validating: bytes, as: UTF8.self) else {
            throw ApplianceError(
                .configuration, "\(HostileText.escaped(file)) is not UTF-8 text.",
                whatToDo: "Restore the file, or move it away and run holdfast setup again.")
        }
        return try read(text, file: file, in: surroundings)
    }

    /// Reads a file's text and the variables over it.
    package static func read(
        _ text: String, file: String, in surroundings: Surroundings
    ) throws(ApplianceError) -> Configuration {
        do {
            var values = try flatten(try StrictYAML.read(text, source: file, isFile: true))
            for key in keys {
                let variable = variableName(of: key)
                guard let text = surroundings.variables[variable] else { continue }
                values[key] = try StrictYAML.read(text, source: variable, isFile: false)
            }
            return try build(values, file: file, in: surroundings)
        } catch {
            throw error.error
        }
    }

    /// Variables that look like ours and mean nothing: a typing error must not pass in silence.
    package static func unknownVariables(in surroundings: Surroundings) -> [String] {
        let known = Set(keys.map(variableName(of:)) + ["HOLDFAST_CONFIG", "HOLDFAST_WORDS"])
        return surroundings.variables.keys.filter {
            // The replacement libusb of a simulated phone has its own variable.
            $0.hasPrefix("HOLDFAST_") && !known.contains($0) && $0 != "HOLDFAST_USBIP"
        }.sorted()
    }

    private static func variableName(of key: String) -> String {
        "HOLDFAST_" + key.replacing(".", with: "_").uppercased()
    }

    private static func flatten(
        _ root: StrictYAML
    ) throws(ConfigurationProblem) -> [String: StrictYAML] {
        var values: [String: StrictYAML] = [:]
        for (key, place, value) in try Field.table(root, "the file") {
            guard tables.contains(key) else {
                guard keys.contains(key) else { throw unknown(key, place, keys) }
                values[key] = value
                continue
            }
            for (inner, place, value) in try Field.table(value, key) {
                guard keys.contains("\(key).\(inner)") else {
                    let known = keys.filter { $0.hasPrefix(key + ".") }
                    throw unknown(inner, place, known.map { String($0.dropFirst(key.count + 1)) })
                }
                values["\(key).\(inner)"] = value
            }
        }
        return values
    }

    private static func unknown(
        _ key: String, _ place: StrictYAML.Place, _ known: [String]
    ) -> ConfigurationProblem {
        ConfigurationProblem(
            place,
            "unknown key '\(HostileText.escaped(key, limit: 80))' (known: "
                + known.joined(separator: ", ") + ")")
    }

    private static func build(
        _ values: [String: StrictYAML], file: String, in surroundings: Surroundings
    ) throws(ConfigurationProblem) -> Configuration {
        let folder = StateFiles.parentPath(file)
        let state = try values["state"].map { value throws(ConfigurationProblem) in
            try Field.path(value, "state", in: folder)
        }
        let run = try values["run"].map { value throws(ConfigurationProblem) in
            try Field.path(value, "run", in: folder)
        }
        // Only the default state folder has its run folder elsewhere: two installations with
        // state folders of their own must never meet.
        let chosenState = state ?? surroundings.defaultState
        let defaultRun =
            chosenState == surroundings.defaultState
            ? surroundings.defaultRun : chosenState + "/run"
        var result = Configuration(
            file: file, state: chosenState, run: run ?? defaultRun,
            hostname: surroundings.hostname)
        if let value = values["hostname"] {
            result.hostname = try Field.text(value, "hostname", maximum: 64)
        }
        if let value = values["drives"] { result.drives = try drives(value, folder) }
        if let value = values["wait"] {
            result.waitSeconds = try Field.integer(value, "wait", 0...86_400)
        }
        if let value = values["checkpoint"] {
            // Not longer than the default: less than five minutes' reading is what is promised.
            result.checkpointSeconds = try Field.integer(value, "checkpoint", 1...300)
        }
        if let value = values["shrink.percent"] {
            result.shrink.percent = try Field.integer(value, "shrink.percent", 0...100)
        }
        if let value = values["shrink.minimum_files"] {
            result.shrink.minimumFiles = try Field.integer(
                value, "shrink.minimum_files", 0...Int(Int32.max))
        }
        result.retention = try retention(values)
        if let value = values["reserve"] {
            result.reserveBytes = try Field.byteCount(value, "reserve")
        }
        if let value = values["log"] { result.logLevel = try logLevel(value) }
        return result
    }

    private static func retention(
        _ values: [String: StrictYAML]
    ) throws(ConfigurationProblem) -> RetentionPolicy {
        var policy = RetentionPolicy()
        for (key, count) in retentionCounts {
            guard let value = values["retention." + key] else { continue }
            policy[keyPath: count] = try Field.integer(
                value, "retention." + key, 0...Int(Int32.max))
        }
        if let value = values["retention.within"] {
            let text = try Field.text(value, "retention.within", maximum: 64)
            guard let span = CalendarSpan(text) else {
                throw ConfigurationProblem(
                    value.place, "retention.within must be a length of time, such as 1y6m or 30d")
            }
            policy.within = span
        }
        return policy
    }

    private static func logLevel(
        _ value: StrictYAML
    ) throws(ConfigurationProblem) -> LogLevel {
        let text = try Field.text(value, "log", maximum: 16)
        guard let level = LogLevel(rawValue: text) else {
            let known = LogLevel.allCases.map(\.rawValue).joined(separator: ", ")
            throw ConfigurationProblem(value.place, "log must be one of \(known)")
        }
        return level
    }

    private static func drives(
        _ value: StrictYAML, _ folder: String
    ) throws(ConfigurationProblem) -> [DriveEntry] {
        guard case .list(let items) = value.content else {
            throw ConfigurationProblem(value.place, "drives must be a list")
        }
        var entries: [DriveEntry] = []
        for item in items {
            let entry = try drive(item, folder)
            guard !entries.contains(where: { $0.id == entry.id }) else {
                throw ConfigurationProblem(item.place, "drive \(entry.id) stands here twice")
            }
            entries.append(entry)
        }
        return entries
    }

    private static func drive(
        _ item: StrictYAML, _ folder: String
    ) throws(ConfigurationProblem) -> DriveEntry {
        var id: DriveID?
        var name: String?
        var path: String?
        for (key, place, value) in try Field.table(item, "a drive") {
            switch key {
            case "id":
                guard let read = DriveID(rawValue: try Field.text(value, "id", maximum: 64)) else {
                    throw ConfigurationProblem(
                        value.place, "id may have letters, digits, '.', '_' and '-' only")
                }
                id = read
            case "name": name = try Field.text(value, "name", maximum: 64)
            case "path": path = try Field.path(value, "path", in: folder)
            default: throw unknown(key, place, ["id", "name", "path"])
            }
        }
        guard let id else { throw ConfigurationProblem(item.place, "this drive has no id") }
        guard let path else { throw ConfigurationProblem(item.place, "this drive has no path") }
        return DriveEntry(id: id, name: name ?? id.rawValue, path: path)
    }
}

/// Reads one value as the type its key has.
private enum Field {
    static func table(
        _ value: StrictYAML, _ what: String
    ) throws(ConfigurationProblem) -> [(key: String, place: StrictYAML.Place, value: StrictYAML)] {
        switch value.content {
        case .table(let table): return table
        case .null where what == "the file": return []
        default: throw ConfigurationProblem(value.place, "\(what) must have keys and values")
        }
    }

    static func text(
        _ value: StrictYAML, _ key: String, maximum: Int
    ) throws(ConfigurationProblem) -> String {
        guard case .text(let text) = value.content else {
            throw ConfigurationProblem(value.place, "\(key) must be a text")
        }
        guard (1...maximum).contains(text.utf8.count), text == HostileText.escaped(text) else {
            throw ConfigurationProblem(
                value.place, "\(key) must have 1 to \(maximum) bytes of plain text")
        }
        return text
    }

    static func path(
        _ value: StrictYAML, _ key: String, in folder: String
    ) throws(ConfigurationProblem) -> String {
        guard case .text(let text) = value.content, (1...4000).contains(text.utf8.count),
            !text.utf8.contains(0)
        else { throw ConfigurationProblem(value.place, "\(key) must be a path") }
        return Surroundings.absolute(text, in: folder)
    }

    static func integer(
        _ value: StrictYAML, _ key: String, _ range: ClosedRange<Int>
    ) throws(ConfigurationProblem) -> Int {
        guard case .integer(let number) = value.content, range.contains(number) else {
            throw ConfigurationProblem(
                value.place,
                "\(key) must be a whole number from \(range.lowerBound) to \(range.upperBound)")
        }
        return number
    }

    static func byteCount(
        _ value: StrictYAML, _ key: String
    ) throws(ConfigurationProblem) -> UInt64 {
        let units: [Substring: UInt64] = ["KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30]
        switch value.content {
        case .integer(let number) where number >= 0: return UInt64(number)
        case .text(let text):
            let parts = text.split(separator: " ")
            if parts.count == 2, let number = UInt64(parts[0]), let unit = units[parts[1]] {
                let (product, overflow) = number.multipliedReportingOverflow(by: unit)
                if !overflow { return product }
            }
        default: break
        }
        throw ConfigurationProblem(
            value.place, "\(key) must be a number of bytes, or a number with KiB, MiB or GiB")
    }
}
