package import BackupCore
internal import Synchronization

/// An entry of a scripted phone.
package struct ScriptedEntry: Sendable {
    /// What it is.
    package enum Kind: Sendable {
        case file([UInt8])
        case folder([ScriptedEntry])
        /// A folder that is the one so many levels above it.
        case loop(up: Int)
    }

    package var name: EntryName
    package var kind: Kind
    package var modified: Timestamp
    /// The size announced, when it is not the content's; `.some(nil)` for none at all.
    package var announced: UInt64??

    /// An entry.
    package init(
        name: EntryName, kind: Kind, modified: Timestamp, announced: UInt64?? = .none
    ) {
        self.name = name
        self.kind = kind
        self.modified = modified
        self.announced = announced
    }

    /// The entries of a folder; setting makes it one.
    package var children: [ScriptedEntry] {
        get { if case .folder(let entries) = kind { entries } else { [] } }
        set { kind = .folder(newValue) }
    }
}

/// A storage of a scripted phone.
package struct ScriptedStorage: Sendable {
    package var name: EntryName
    package var volume: String
    package var type: UInt16
    package var totalBytes: UInt64
    package var entries: [ScriptedEntry] = []

    /// A storage.
    package init(
        _ name: EntryName, volume: String = "", type: UInt16 = 3, totalBytes: UInt64 = 64 << 30
    ) {
        self.name = name
        self.volume = volume
        self.type = type
        self.totalBytes = totalBytes
    }
}

/// What goes wrong with a scripted phone, and when.
package struct PhoneFaults: Sendable {
    /// The phone is unplugged at these calls (listing a folder, opening a file), from 1 on.
    package var unplugAtCalls: Set<Int> = []
    /// The phone is unplugged when so many bytes of content were sent.
    package var unplugAtBytes: UInt64?
    /// The phone is unplugged each time this is opened or listed.
    package var unplugsAt: String?
    /// The phone locks itself at this call; it shows no storages then.
    package var lockAtCall: Int?
    /// How many polls find it locked before it is unlocked; nil for never.
    package var unlockAfterPolls: Int? = 0
    /// How many tries to reach it fail after an unplug; nil for never again.
    package var returnAfterTries: Int? = 0
    /// Whether it lists empty folders while it is locked, instead of refusing.
    package var listsNothingWhenLocked = false
    /// Files it refuses.
    package var unreadable: Set<String> = []
    /// Files that end so many bytes early.
    package var short: [String: Int] = [:]
    /// Folders it cannot list.
    package var unlistable: Set<String> = []
    /// Entries it does not describe, though it says that they are there.
    package var undescribed: Set<String> = []
    /// An error that every call gives from this call on.
    package var breaks: (atCall: Int, error: DeviceError)?

    /// No faults.
    package init() {}
}

/// A phone made of values: the tests change its files and its faults between and during runs.
///
/// Handles differ in every session, so whoever keeps one over a replug reads the wrong file.
package final class ScriptedPhone: Sendable {
    struct State {
        var storages: [ScriptedStorage]
        var faults = PhoneFaults()
        var identity = "serial\nmodel"
        var session = 0
        var calls = 0
        var bytesSent: UInt64 = 0
        var opened: [String] = []
        var isLocked = false
        var lockedPolls = 0
        var triesLeft: Int?
        var isGone = false
        var onCall: (@Sendable (Int) -> Void)?
        var pushed: (any PushedCapture)?
        var onlyInCloud: UInt64?
        var cloudQuestions = 0
    }

    let state: Mutex<State>

    /// A phone with these storages.
    package init(_ storages: [ScriptedStorage] = [ScriptedStorage("Internal")]) {
        state = Mutex(State(storages: storages))
    }

    /// Changes the phone's storages and files.
    package func change(_ body: (inout sending [ScriptedStorage]) -> Void) {
        state.withLock { body(&$0.storages) }
    }

    /// Puts a file at a path whose first name is a storage's; folders are made.
    package func put(_ path: String, _ content: [UInt8], modified: Int64 = 1_600_000_000) {
        let names = EntryPath(text: path).names
        let date = Timestamp(seconds: modified)
        state.withLock { state in
            guard let index = state.storages.firstIndex(where: { $0.name == names.first }) else {
                return
            }
            Self.put(
                names.dropFirst(), .file(content), date, into: &state.storages[index].entries)
        }
    }

    /// Removes an entry.
    package func remove(_ path: String) {
        let names = EntryPath(text: path).names
        state.withLock { state in
            guard let index = state.storages.firstIndex(where: { $0.name == names.first }) else {
                return
            }
            Self.remove(names.dropFirst(), from: &state.storages[index].entries)
        }
    }

    /// The faults of what follows; the counting of calls and bytes starts again.
    package var faults: PhoneFaults {
        get { state.withLock { $0.faults } }
        set {
            state.withLock { state in
                state.faults = newValue
                state.calls = 0
                state.bytesSent = 0
                state.isLocked = newValue.lockAtCall == 0
                state.lockedPolls = 0
            }
        }
    }

    /// The files opened since the last call of this.
    package func takeOpened() -> [String] {
        state.withLock { state in
            defer { state.opened = [] }
            return state.opened
        }
    }

    /// The calls made since the faults were set.
    package var calls: Int { state.withLock { $0.calls } }

    /// Called at each call, with its number.
    package func onCall(_ body: (@Sendable (Int) -> Void)?) {
        state.withLock { $0.onCall = body }
    }

    /// Another phone is plugged in from now on.
    package func becomeAnother() { state.withLock { $0.identity = "other\nmodel" } }

    /// The photos it says are only in the cloud; nil when it does not tell.
    package func setOnlyInCloud(_ count: UInt64?) {
        state.withLock { $0.onlyInCloud = count }
    }

    /// How often it was asked for them.
    package var cloudQuestions: Int { state.withLock { $0.cloudQuestions } }

    /// The backup capture that this phone drives.
    package func setPushed(_ capture: (any PushedCapture)?) {
        state.withLock { $0.pushed = capture }
    }

    /// Plugs it in: a session whose handles are its own.
    package func session() -> any DeviceSession {
        state.withLock { state in
            state.session += 1
            state.isGone = false
            state.triesLeft = state.faults.returnAfterTries
            return ScriptedSession(phone: self, number: state.session)
        }
    }

    /// Pulls the cable now.
    package func unplug() {
        state.withLock { state in
            state.isGone = true
            state.triesLeft = state.faults.returnAfterTries
        }
    }

    /// What a run calls to reach the phone again.
    package func reconnect() throws(DeviceError) -> any DeviceSession {
        let isThere = state.withLock { state in
            guard state.isGone else { return true }
            guard let left = state.triesLeft, left == 0 else {
                state.triesLeft = state.triesLeft.map { $0 - 1 }
                return false
            }
            return true
        }
        guard isThere else { throw DeviceError(.gone, "No phone is plugged in") }
        return session()
    }

    private static func put(
        _ names: ArraySlice<EntryName>, _ kind: ScriptedEntry.Kind, _ date: Timestamp,
        into entries: inout [ScriptedEntry]
    ) {
        guard let name = names.first else { return }
        let isLast = names.count == 1
        if let index = entries.firstIndex(where: { $0.name == name }) {
            if isLast {
                entries[index] = ScriptedEntry(name: name, kind: kind, modified: date)
            } else {
                put(names.dropFirst(), kind, date, into: &entries[index].children)
            }
            return
        }
        var entry = ScriptedEntry(
            name: name, kind: isLast ? kind : .folder([]), modified: date)
        if !isLast { put(names.dropFirst(), kind, date, into: &entry.children) }
        entries.append(entry)
    }

    private static func remove(
        _ names: ArraySlice<EntryName>, from entries: inout [ScriptedEntry]
    ) {
        guard let index = entries.firstIndex(where: { $0.name == names.first }) else { return }
        if names.count == 1 {
            entries.remove(at: index)
        } else {
            remove(names.dropFirst(), from: &entries[index].children)
        }
    }
}
