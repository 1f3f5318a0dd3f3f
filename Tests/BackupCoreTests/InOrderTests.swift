import BackupCore
import Synchronization
import Testing

@Suite struct InOrderTests {
    private struct Stop: Error {}

    @Test(arguments: [1, 2, 3, 50])
    func resultsComeInOrderAndNoMoreThanTheWidthIsAhead(width: Int) async {
        let elements = Array(0..<40)
        let state = Mutex((ahead: 0, most: 0))
        var seen: [Int] = []
        await inOrder(elements, width: width) { element in
            state.withLock { state in
                state.ahead += 1
                state.most = max(state.most, state.ahead)
            }
            // The later ones of each few are done first.
            for _ in 0..<(4 - element % 4) * 5 { await Task.yield() }
            return element * 10
        } use: { element, value throws(Never) in
            #expect(value == element * 10)
            seen.append(element)
            state.withLock { $0.ahead -= 1 }
        }
        #expect(seen == elements)
        #expect(state.withLock { $0.most } <= width)
        #expect(width == 1 || state.withLock { $0.most } > 1)
    }

    @Test(.timeLimit(.minutes(1))) func othersGoOnWhileOneTakesLong() async {
        let done = Mutex(0)
        let most = Mutex((running: 0, most: 0))
        var seen: [Int] = []
        await inOrder(Array(0..<30), width: 3, ahead: 10) { element in
            most.withLock { state in
                state.running += 1
                state.most = max(state.most, state.running)
            }
            // The first ends only when all that may begin beside it have ended.
            while element == 0, done.withLock({ $0 }) < 9, !Task.isCancelled { await Task.yield() }
            if element < 10 { done.withLock { $0 += 1 } }
            most.withLock { $0.running -= 1 }
            return element
        } use: { element, _ throws(Never) in
            seen.append(element)
        }
        #expect(seen == Array(0..<30))
        #expect(most.withLock { $0.most } <= 3)
    }

    @Test func errorEndsItAndNothingIsLeftRunning() async {
        let running = Mutex(0)
        let begun = Mutex(0)
        await #expect(throws: Stop.self) {
            try await inOrder(Array(0..<100), width: 4) { element in
                running.withLock { $0 += 1 }
                begun.withLock { $0 += 1 }
                for _ in 0..<20 { await Task.yield() }
                running.withLock { $0 -= 1 }
                return element
            } use: { element, _ throws(Stop) in
                if element == 5 { throw Stop() }
            }
        }
        #expect(running.withLock { $0 } == 0)
        #expect(begun.withLock { $0 } <= 5 + 4)
    }

    @Test func cancellingReachesTheWork() async {
        let cancelled = Mutex(0)
        let task = Task {
            await inOrder(Array(0..<6), width: 2) { _ in
                while !Task.isCancelled { await Task.yield() }
                cancelled.withLock { $0 += 1 }
            } use: { _, _ throws(Never) in
            }
        }
        task.cancel()
        await task.value
        #expect(cancelled.withLock { $0 } == 6)
    }
}
