import threading

results = []


def work(n):
    double = n * 2
    results.append(double)


threads = [threading.Thread(target=work, args=(n,)) for n in (1, 2)]
for thread in threads:
    thread.start()
    thread.join()
print(results)
