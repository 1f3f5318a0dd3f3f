import BlockingThread
import Glibc
import Synchronization
import Testing

@Suite struct BlockingThreadTests {
    @Test func workRunsInOrderOnOneThread() async {
        let thread = DedicatedThread(name: "order")
        let seen = Record()
        for step in 0..<100 {
            await thread.run { seen.add(step) }
        }
        #expect(seen.steps == Array(0..<100))
        #expect(seen.threads.count == 1)
        #expect(!seen.threads.contains(pthread_self()))
    }

    @Test func moreBlockedThreadsThanCoresStillLetOthersWork() async {
        // Eight threads block in read(2) at once; the cooperative pool of a small machine would be
        // used up, yet an ordinary task still gets through and releases them.
        let count = 8
        var pipes: [[Int32]] = []
        for _ in 0..<count {
            var ends: [Int32] = [0, 0]
            #expect(pipe(&ends) == 0)
            pipes.append(ends)
        }
        let ends = pipes
        let got = await withTaskGroup(of: Int.self) { group in
            for index in 0..<count {
                group.addTask {
                    let thread = DedicatedThread(name: "blocked")
                    return await thread.run {
                        var byte: UInt8 = 0
                        return read(ends[index][0], &byte, 1)
                    }
                }
            }
            for index in 0..<count {
                var byte: UInt8 = 1
                #expect(write(ends[index][1], &byte, 1) == 1)
            }
            return await group.reduce(0, +)
        }
        #expect(got == count)
        for pair in ends { pair.forEach { close($0) } }
    }

    @Test func typedErrorsComeBack() async {
        struct Refusal: Error, Equatable { let number: Int }
        let thread = DedicatedThread(name: "throws")
        await #expect(throws: Refusal(number: 7)) {
            try await thread.run { () throws(Refusal) in throw Refusal(number: 7) }
        }
    }

    @Test func queuedWorkIsDoneAfterTheLastReferenceIsGone() async {
        let seen = Record()
        await DedicatedThread(name: "last").run { seen.add(1) }
        #expect(seen.steps == [1])
    }
}

/// What ran, and where.
private final class Record: Sendable {
    private let entries = Mutex<[(Int, pthread_t)]>([])

    func add(_ step: Int) { entries.withLock { $0.append((step, pthread_self())) } }

    var steps: [Int] { entries.withLock { $0.map(\.0) } }
    var threads: Set<pthread_t> { entries.withLock { Set($0.map(\.1)) } }
}
