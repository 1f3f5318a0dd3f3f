internal import BackupCore
internal import Synchronization

/// A session with a ``ScriptedPhone``.
final class ScriptedSession: DeviceSession, MediaSource {
    /// Where a handle leads: the storage's number and the positions down to the entry.
    private struct Place {
        let storage: Int
        let positions: [Int]
        let path: String
    }

    private struct State {
        var places: [UInt64: Place] = [:]
        var handles: [String: UInt64] = [:]
        var isClosed = false
    }

    private let phone: ScriptedPhone
    private let number: Int
    private let state = Mutex(State())
    private static let piece = 1000

    init(phone: ScriptedPhone, number: Int) {
        self.phone = phone
        self.number = number
    }

    var captures: [Capture] {
        phone.state.withLock { $0.pushed == nil ? [.media] : [.media, .backup] }
    }

    func source(of capture: Capture) -> CaptureSource? {
        switch capture {
        case .media: .pulled(self)
        case .backup: phone.state.withLock { $0.pushed }.map { .pushed($0) }
        }
    }

    func attributes() async throws(DeviceError) -> PhoneAttributes {
        let identity = phone.state.withLock { $0.identity }
        return PhoneAttributes(
            identity: identity, name: "Ana's phone", manufacturer: "Example", model: "Model 3",
            osVersion: "14", batteryPercent: 80, notes: [])
    }

    func close() async { state.withLock { $0.isClosed = true } }

    func storages() async throws(DeviceError) -> [PhoneStorage] {
        try checkPresent()
        let session = UInt64(number)
        return phone.state.withLock { state in
            if state.isLocked {
                state.lockedPolls += 1
                guard let polls = state.faults.unlockAfterPolls, state.lockedPolls > polls else {
                    return []
                }
                state.isLocked = false
                state.faults.lockAtCall = nil
            }
            return state.storages.enumerated().map { index, storage in
                PhoneStorage(
                    handle: session << 32 | UInt64(index), name: storage.name,
                    volumeIdentifier: storage.volume, type: storage.type,
                    totalBytes: storage.totalBytes, freeBytes: 0)
            }
        }
    }

    func onlyInCloud() async throws(DeviceError) -> UInt64? {
        try checkPresent()
        return phone.state.withLock { state in
            state.cloudQuestions += 1
            return state.onlyInCloud
        }
    }

    func list(_ folder: FolderReference) async throws(DeviceError) -> FolderListing {
        let place = try self.place(folder)
        do {
            try call(place.path)
        } catch  where error.code == .waitingForUser {
            guard phone.state.withLock({ $0.faults.listsNothingWhenLocked }) else { throw error }
            return FolderListing([])
        }
        let (entries, cannot, hidden) = phone.state.withLock { state in
            (
                Self.entries(at: place.positions, of: state.storages[place.storage]),
                state.faults.unlistable.contains(place.path), state.faults.undescribed
            )
        }
        guard let entries, !cannot else {
            throw DeviceError(.unreadable, "The folder could not be listed")
        }
        let described = entries.enumerated().filter { _, entry in
            !hidden.contains(place.path + "/\(entry.name)")
        }
        return FolderListing(
            described.map { index, entry in
                self.entry(entry, place, index, storage: folder.storage)
            }, undescribedCount: entries.count - described.count)
    }

    func read(_ entry: PhoneEntry) async throws(DeviceError) -> ByteSource<DeviceError> {
        guard let place = state.withLock({ $0.places[entry.object] }) else {
            throw DeviceError(.protocolViolation, "A handle of another session was used")
        }
        phone.state.withLock { $0.opened.append(place.path) }
        try call(place.path)
        let (content, cannot) = phone.state.withLock { state in
            (
                Self.content(at: place.positions, of: state.storages[place.storage]),
                state.faults.unreadable.contains(place.path)
            )
        }
        guard var content, !cannot else {
            throw DeviceError(.unreadable, "The phone refuses the file")
        }
        content.removeLast(phone.state.withLock { $0.faults.short[place.path] ?? 0 })
        let rest = Mutex(content[...])
        return ByteSource(next: { () async throws(DeviceError) in
            let piece = rest.withLock { rest in
                defer { rest = rest.dropFirst(Self.piece) }
                return Array(rest.prefix(Self.piece))
            }
            try self.send(piece.count)
            return piece.isEmpty ? nil : piece
        })
    }
}

extension ScriptedSession {
    private func checkPresent() throws(DeviceError) {
        let isClosed = state.withLock { $0.isClosed }
        let isThere = phone.state.withLock { $0.session == number && !$0.isGone }
        guard isThere, !isClosed else { throw DeviceError(.gone, "The phone was unplugged") }
    }

    /// Counts a call and lets the faults happen that are due at it.
    private func call(_ path: String) throws(DeviceError) {
        let (count, hook) = phone.state.withLock { state in
            state.calls += 1
            if state.faults.unplugAtCalls.contains(state.calls) || state.faults.unplugsAt == path {
                Self.unplug(&state)
            }
            if state.faults.lockAtCall == state.calls { state.isLocked = true }
            return (state.calls, state.onCall)
        }
        hook?(count)
        try checkPresent()
        let (isLocked, breaks) = phone.state.withLock { ($0.isLocked, $0.faults.breaks) }
        guard !isLocked else { throw DeviceError(.waitingForUser, "The phone was locked") }
        if let breaks, count >= breaks.atCall { throw breaks.error }
    }

    private func send(_ count: Int) throws(DeviceError) {
        phone.state.withLock { state in
            state.bytesSent += UInt64(count)
            guard let limit = state.faults.unplugAtBytes, state.bytesSent > limit else { return }
            state.faults.unplugAtBytes = nil
            Self.unplug(&state)
        }
        try checkPresent()
    }

    private static func unplug(_ state: inout ScriptedPhone.State) {
        state.isGone = true
        state.triesLeft = state.faults.returnAfterTries
    }

    private func place(_ folder: FolderReference) throws(DeviceError) -> Place {
        if let object = folder.object {
            guard let place = state.withLock({ $0.places[object] }) else {
                throw DeviceError(.protocolViolation, "A handle of another session was used")
            }
            return place
        }
        let index = Int(folder.storage & 0xFFFF_FFFF)
        guard folder.storage >> 32 == UInt64(number),
            let name = phone.state.withLock({ state in
                state.storages.indices.contains(index) ? state.storages[index].name : nil
            })
        else { throw DeviceError(.protocolViolation, "A storage of another session was used") }
        return Place(storage: index, positions: [], path: "/\(name)")
    }

    private func entry(
        _ entry: ScriptedEntry, _ folder: Place, _ index: Int, storage: UInt64
    ) -> PhoneEntry {
        var positions = folder.positions + [index]
        if case .loop(let up) = entry.kind { positions.removeLast(min(up + 1, positions.count)) }
        let place = Place(
            storage: folder.storage, positions: positions, path: folder.path + "/\(entry.name)")
        let handle = state.withLock { state in
            let key = "\(place.storage)\(place.positions)"
            let handle = state.handles[key] ?? UInt64(number) << 32 | UInt64(state.handles.count)
            state.handles[key] = handle
            if state.places[handle] == nil { state.places[handle] = place }
            return handle
        }
        var size: UInt64?
        var isFolder = true
        if case .file(let content) = entry.kind {
            isFolder = false
            size = UInt64(content.count)
            if let announced = entry.announced { size = announced }
        }
        return PhoneEntry(
            storage: storage, object: handle, name: entry.name, isFolder: isFolder,
            byteCount: size, modified: entry.modified)
    }

    private static func entries(
        at positions: [Int], of storage: ScriptedStorage
    ) -> [ScriptedEntry]? {
        var entries = storage.entries
        for position in positions {
            guard entries.indices.contains(position) else { return nil }
            entries = entries[position].children
        }
        return entries
    }

    private static func content(at positions: [Int], of storage: ScriptedStorage) -> [UInt8]? {
        guard let last = positions.last,
            let entries = entries(at: positions.dropLast(), of: storage),
            entries.indices.contains(last), case .file(let content) = entries[last].kind
        else { return nil }
        return content
    }
}
