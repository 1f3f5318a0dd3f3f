import BackupCore

/// How the host's part of a message went, as DeviceLink numbers it.
enum HostStatus: Int64 {
    case done = 0
    case other = -1
    case noEntry = -6
    case notDirectory = -8
    case inputOutput = -11
    case severalFiles = -13

    /// The status for what the tree refused.
    init(_ refusal: CaptureTreeError.Refusal) {
        switch refusal {
        case .noEntry: self = .noEntry
        case .notDirectory: self = .notDirectory
        case .unreadable: self = .inputOutput
        case .other: self = .other
        }
    }

    /// The words that other hosts send with it.
    var text: String {
        switch self {
        case .done: DeviceLink.noText
        case .other: "Operation not supported"
        case .noEntry: "No such file or directory"
        case .notDirectory: "Not a directory"
        case .inputOutput: "Input/output error"
        case .severalFiles: "Multi status"
        }
    }
}
