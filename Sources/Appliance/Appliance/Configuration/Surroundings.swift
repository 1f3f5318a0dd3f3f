import BackupCore
import Glibc

/// What a program finds around itself: variables, user, working folder. Passed in, so that tests
/// need not change their own process.
package struct Surroundings: Sendable {
    package var variables: [String: String]
    package var isRoot: Bool
    package var workingFolder: String
    /// The machine's own name.
    package var hostname: String

    /// Surroundings with every field given.
    package init(
        variables: [String: String], isRoot: Bool, workingFolder: String, hostname: String
    ) {
        self.variables = variables
        self.isRoot = isRoot
        self.workingFolder = workingFolder
        self.hostname = hostname
    }

    /// This process's own.
    package static func ofThisProcess() -> Surroundings {
        var variables: [String: String] = [:]
        // Sound: `environ` is a NULL-terminated array of NUL-terminated texts, read before any
        // other thread of ours starts and never changed by us; every text is copied.
        var next = unsafe environ
        while let text = unsafe next.pointee {
            let entry = unsafe String(cString: text)
            if let equals = entry.firstIndex(of: "=") {
                variables[String(entry[..<equals])] = String(entry[entry.index(after: equals)...])
            }
            unsafe next += 1
        }
        return Surroundings(
            variables: variables, isRoot: geteuid() == 0, workingFolder: currentFolder(),
            hostname: machineName())
    }

    /// `path` made absolute against the working folder, `.` and `..` resolved by name only.
    package func absolute(_ path: String) -> String { Self.absolute(path, in: workingFolder) }

    /// `path` made absolute against `folder`.
    package static func absolute(_ path: String, in folder: String) -> String {
        let full = path.hasPrefix("/") ? path : folder + "/" + path
        var parts: [Substring] = []
        for part in full.split(separator: "/") {
            switch part {
            case ".": continue
            case "..": _ = parts.popLast()
            default: parts.append(part)
            }
        }
        return "/" + parts.joined(separator: "/")
    }

    /// The configuration file to use when none is named.
    var defaultFile: String {
        if isRoot { return "/etc/holdfast/holdfast.yaml" }
        return (base("XDG_CONFIG_HOME") ?? home + "/.config") + "/holdfast/holdfast.yaml"
    }

    /// The state folder when none is named.
    var defaultState: String {
        if isRoot { return "/var/lib/holdfast" }
        return (base("XDG_STATE_HOME") ?? home + "/.local/state") + "/holdfast"
    }

    /// The folder for states, sockets and locks that belongs to the default state folder.
    var defaultRun: String {
        if isRoot { return "/run/holdfast" }
        return base("XDG_RUNTIME_DIR").map { $0 + "/holdfast" } ?? defaultState + "/run"
    }

    private var home: String { base("HOME") ?? "/" }

    /// An XDG base folder; a relative one is ignored, as the specification says.
    private func base(_ variable: String) -> String? {
        variables[variable].flatMap { $0.hasPrefix("/") ? $0 : nil }
    }

    private static func currentFolder() -> String {
        // Sound: getcwd with no buffer allocates one, which is copied and freed here.
        guard let text = unsafe getcwd(nil, 0) else { return "/" }
        defer { unsafe free(text) }
        return unsafe String(cString: text)
    }

    private static func machineName() -> String {
        var buffer = [CChar](repeating: 0, count: 256)
        // Sound: the buffer is lent with one byte less than it has, so it stays NUL-terminated.
        guard unsafe gethostname(&buffer, buffer.count - 1) == 0 else { return "holdfast" }
        let bytes = buffer.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }
        let name = String(decoding: bytes, as: UTF8.self)
        return name.isEmpty ? "holdfast" : name
    }
}
