import BackupCore

/// Operations on their way from the task that receives frames to the one that carries them out.
///
/// A few frames wait while another is carried out, so that the phone goes on sending while a file's
/// end is stored; none is received while the worker waits for an answer. The memory is bounded, a
/// slow drive holds a fast phone back, and the link's thread is free for the answer.
actor PushFeed {
    /// 4 MiB: what a phone sends in a fiftieth of a second at the fastest, and small beside a pack.
    private static let framesAhead = 8

    private let events: RunEventSink
    private var current: ArraySlice<PushOperation> = []
    private var waiting: [[PushOperation]] = []
    private var ending: Result<Void, DeviceError>?
    private var mayReceiveAhead = true
    private var isInFile = false
    private var isClosed = false
    private var receiver: CheckedContinuation<Void, Never>?
    private var taker: CheckedContinuation<Void, Never>?

    init(events: @escaping RunEventSink) { self.events = events }

    // MARK: The receiving task

    /// Waits until a frame should be received; false when no more is wanted.
    func isFrameWanted() async -> Bool {
        while !isClosed, ending == nil {
            if waiting.count < Self.framesAhead, mayReceiveAhead || taker != nil { return true }
            await withCheckedContinuation { receiver = $0 }
        }
        return false
    }

    /// Hands a frame's operations over.
    func give(_ operations: [PushOperation]) {
        waiting.append(operations)
        if operations.last?.wantsAnswer == true { mayReceiveAhead = false }
        resume(&taker)
    }

    /// There is no frame any more.
    func end(_ result: Result<Void, DeviceError>) {
        ending = result
        resume(&taker)
    }

    // MARK: The task that carries out

    /// The next operation, nil when the worker is done. What was received before a failure is
    /// carried out first; words for the run's watchers are passed on here.
    func next() async throws(DeviceError) -> PushOperation? {
        while true {
            guard let operation = try await nextOfAny() else {
                guard !isInFile else { throw .wireViolation("an end within a file") }
                return nil
            }
            switch operation {
            case .notice(let code, let message):
                events(.notice(RunNotice(code: code, message: message)))
            case .progress(let progress): events(.progress(progress))
            default:
                try follow(operation)
                return operation
            }
        }
    }

    /// Passes over the rest of the file that is being received, if one is.
    func skipFile() async throws(DeviceError) {
        while isInFile, try await next() != nil {}
    }

    /// The question has been answered.
    func answered() {
        mayReceiveAhead = true
        resume(&receiver)
    }

    /// Nobody takes any more.
    func close() {
        isClosed = true
        resume(&receiver)
    }
}

extension PushFeed {
    private func nextOfAny() async throws(DeviceError) -> PushOperation? {
        while true {
            if let operation = current.popFirst() { return operation }
            if !waiting.isEmpty {
                current = waiting.removeFirst()[...]
                resume(&receiver)
            } else if let ending {
                try ending.get()
                return nil
            } else {
                await withCheckedContinuation {
                    taker = $0
                    resume(&receiver)
                }
            }
        }
    }

    /// Holds that a file's content stands within a file and nothing else does.
    private func follow(_ operation: PushOperation) throws(DeviceError) {
        switch operation {
        case .beginFile:
            guard !isInFile else { throw .wireViolation("a file within a file") }
            isInFile = true
        case .piece, .endFile, .dropFile:
            guard isInFile else { throw .wireViolation("content of no file") }
            if case .piece = operation { return }
            isInFile = false
        default:
            guard !isInFile else { throw .wireViolation("something else within a file") }
        }
    }

    private func resume(_ continuation: inout CheckedContinuation<Void, Never>?) {
        continuation?.resume()
        continuation = nil
    }
}
