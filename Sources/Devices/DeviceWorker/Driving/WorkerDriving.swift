import BackupCore

extension WorkerSession {
    /// See ``PushedCapture/perform(_:over:events:)``.
    func drive(
        _ job: PushedJob, over builder: any SnapshotBuilder, events: @escaping RunEventSink
    ) async throws(SaveError) -> PushedResult {
        let request: UInt32
        do {
            request = try await call(deadlines.driving) { link throws(DeviceError) in
                var body = WireWriter()
                body.job(job)
                return try link.ask(.askDrive, body)
            }
        } catch {
            throw .source(error)
        }
        let feed = PushFeed(events: events)
        let outcome = await withTaskGroup(of: Void.self) { group in
            group.addTask { await self.receive(request, into: feed) }
            let outcome = await self.serve(request, from: feed, on: builder)
            await feed.close()
            // A frame that nobody wants any more may never come: the wait for it is given up.
            if case .failure = outcome { link.interruption.raise(.cancelled) }
            return outcome
        }
        return try outcome.get()
    }

    private func receive(_ request: UInt32, into feed: PushFeed) async {
        while await feed.isFrameWanted() {
            do throws(DeviceError) {
                let operations = try await call(deadlines.driving) { link throws(DeviceError) in
                    try link.operations(of: request)
                }
                guard let operations else { return await feed.end(.success(())) }
                await feed.give(operations)
            } catch {
                return await feed.end(.failure(error))
            }
        }
    }

    private func serve(
        _ request: UInt32, from feed: PushFeed, on builder: any SnapshotBuilder
    ) async -> Result<PushedResult, SaveError> {
        let limit = deadlines.driving
        var server = PushServer(feed: feed, builder: builder, clock: clock) {
            (kind, body) async throws(DeviceError) in
            try await self.call(limit) { link throws(DeviceError) in
                try link.answer(kind, request: request, body)
            }
        }
        do throws(SaveError) {
            try await server.serve()
            return .success(server.result)
        } catch {
            return .failure(error)
        }
    }
}

extension WorkerLink {
    /// The operations of the next frame; nil when the worker says that all is done.
    func operations(of request: UInt32) throws(DeviceError) -> [PushOperation]? {
        let frame = try answer(to: request, .operations, .finished)
        guard frame.kind == .operations else { return nil }
        return try decode(frame) { reader throws(DeviceError) in try reader.operations() }
    }
}

/// A phone's own backup, driven by the phone in its worker.
struct WorkerCapture: PushedCapture {
    let session: WorkerSession

    func perform(
        _ job: PushedJob, over builder: any SnapshotBuilder, events: @escaping RunEventSink
    ) async throws(SaveError) -> PushedResult {
        try await session.drive(job, over: builder, events: events)
    }
}
